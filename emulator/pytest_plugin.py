"""Fixtures for the test suites of those who call the vendors.

Loaded by pytest in every run of everybody who has the package installed, so nothing heavy is
imported before a test asks for an emulator.
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
        Where it answers, without a slash at the end.
    """

    base_url: str


@dataclass
class _Bill:
    """What was billed before the first test that used an emulator, and after the last."""

    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


_BILL = pytest.StashKey[_Bill]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("face-api-emulator")
    group.addoption(
        "--face-emulator-url",
        metavar="URL",
        default=None,
        help="Base URL of an emulator that runs already; without it, tests that ask for one start their own.",
    )


@pytest.fixture(scope="session")
def face_emulator_server(request: pytest.FixtureRequest) -> Iterator[FaceEmulatorServer]:
    """One emulator for the whole session: that of ``--face-emulator-url``, or one of our own."""
    given: str | None = request.config.getoption("--face-emulator-url")
    if given is not None:
        yield from _billed(request.config, FaceEmulatorServer(given.rstrip("/")))
        return
    # Here and not above: a web framework and a face core, which most runs of pytest have no use for.
    from emulator.server import running_server  # noqa: PLC0415

    with running_server() as listening:
        yield from _billed(request.config, FaceEmulatorServer(listening.base_url))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what the calls of this run would have cost, if there were any that are billed."""
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
            f"no emulator answers at {server.base_url} ({error}): start one there with "
            "`face-emulator serve`, or leave --face-emulator-url out",
            pytrace=False,
        )
    yield server
    # One that is gone by now was stopped by a test, and cannot be asked any more.
    with contextlib.suppress(OSError):
        bill.after = _costs(server)


def _costs(server: FaceEmulatorServer) -> dict[str, Any]:
    # Of the standard library, and even that only where it is used.
    import json  # noqa: PLC0415
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    # Tests reset what is theirs, and that would not be billed.
    try:
        with urllib.request.urlopen(f"{server.base_url}/_emulator/costs?since_start=true") as answer:  # noqa: S310 - the user's own
            costs: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        # Its control API is off, or has a port of its own: the tests can do without the bill.
        error.close()
        return {}
    return costs


def _lines(bill: _Bill) -> list[str]:
    """Return one line for each operation that was billed in between, and one for the money."""
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
        lines.append(f"total: {money}{', and what has no price' if unpriced else ''}")
    return lines
