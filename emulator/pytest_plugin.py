"""pytest plugin with a fixture that starts an emulator.

If the package is installed, pytest loads this plugin in every run. Expensive modules are therefore imported
only when a test requests an emulator.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

TITLE = "face-api-emulator: what this run would have cost"


@dataclass(frozen=True)
class FaceEmulatorServer:
    """A running emulator.

    Attributes
    ----------
    base_url : str
        Base URL, without a trailing slash.
    """

    base_url: str


@dataclass
class _Bill:
    """Costs before the first test that used an emulator, and after the last one."""

    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


_BILL = pytest.StashKey[_Bill]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options to pytest."""
    group = parser.getgroup("face-api-emulator")
    group.addoption(
        "--face-emulator-url",
        metavar="URL",
        default=None,
        help="Base URL of a running emulator. By default, one is started when a test needs it.",
    )


@pytest.fixture(scope="session")
def face_emulator_server(request: pytest.FixtureRequest) -> Iterator[FaceEmulatorServer]:
    """One emulator for the whole session: the one at ``--face-emulator-url``, or a new one."""
    given: str | None = request.config.getoption("--face-emulator-url")
    if given is not None:
        yield from _billed(request.config, FaceEmulatorServer(given.rstrip("/")))
        return
    # Import on demand: this loads a web framework, which most runs of pytest do not need.
    from emulator.server import running_server  # noqa: PLC0415

    with running_server() as listening:
        yield from _billed(request.config, FaceEmulatorServer(listening.base_url))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the calls of this run would have cost, if any of them was billed."""
    bill = config.stash.get(_BILL, None)
    lines = [] if bill is None else _lines(bill)
    if lines:
        terminalreporter.section(TITLE)
        for line in lines:
            terminalreporter.write_line(line)


def _billed(config: pytest.Config, server: FaceEmulatorServer) -> Iterator[FaceEmulatorServer]:
    try:
        bill = config.stash[_BILL] = _Bill(before=_costs(server))
    except OSError as error:
        pytest.fail(
            f"no emulator answers at {server.base_url} ({error}): start one with "
            "`face-emulator serve`, or omit --face-emulator-url",
            pytrace=False,
        )
    yield server
    # A test may have stopped the emulator.
    with contextlib.suppress(OSError):
        bill.after = _costs(server)


def _costs(server: FaceEmulatorServer) -> dict[str, Any]:
    # Use the standard library, and import it on demand, because pytest loads this module in every run.
    import json  # noqa: PLC0415
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    # Use ``since_start``, because tests may reset their credentials, which also resets the costs.
    try:
        with urllib.request.urlopen(f"{server.base_url}/_emulator/costs?since_start=true") as answer:  # noqa: S310 - the user's own
            costs: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        # The control API is off or has a separate port. The tests can run without the bill.
        error.close()
        return {}
    return costs


def _lines(bill: _Bill) -> list[str]:
    """Return a line for each operation that this run was billed for, and a line with the total."""
    before = {(cost["vendor"], cost["operation"]): cost for cost in bill.before.get("operations", [])}
    lines, totals, unpriced = [], dict[str, Decimal](), False
    for cost in bill.after.get("operations", []):
        earlier = before.get((cost["vendor"], cost["operation"]), {"calls": 0, "units": 0, "amounts": {}})
        calls, units = cost["calls"] - earlier["calls"], cost["units"] - earlier["units"]
        if calls <= 0 and units <= 0:
            continue
        parts = [f"{calls} call{'' if calls == 1 else 's'}"]
        parts += [f"{units} unit{'' if units == 1 else 's'}"] if units else []
        for currency, amount in cost["amounts"].items():
            since = Decimal(amount) - Decimal(earlier["amounts"].get(currency, "0"))
            totals[currency] = totals.get(currency, Decimal(0)) + since
            parts.append(f"{since:f} {currency}")
        if not cost["amounts"]:
            unpriced = True
            parts.append("no price is set")
        lines.append(f"{cost['vendor']} {cost['operation']}: {', '.join(parts)}")
    if totals:
        money = ", ".join(f"{amount:f} {currency}" for currency, amount in sorted(totals.items()))
        lines.append(f"total: {money}{', excluding operations without a price' if unpriced else ''}")
    return lines
