"""``face-emulator exec``."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import Exit

from emulator.commands.failure import CallFailed, failed, require_server, stopped
from emulator.commands.output import working
from emulator.commands.scenario import FILES

if TYPE_CHECKING:
    from emulator.settings import Settings
    from face_api_emulator.client import Client
    from face_api_emulator.client.models import Costs, RecordedCall

OWN_FAILURE = 125
"""Exit code if the emulator itself fails. Container tools use the same code for their own failures."""

START_SECONDS = 120.0
"""Longest time until the emulator is ready, in real seconds."""


HTTP_PORT, HTTPS_PORT = 80, 443
"""Ports of URLs without a port."""


class FailOn(StrEnum):
    """A reason for ``exec`` to fail after the command has succeeded."""

    WARNINGS = "warnings"
    FAILURES = "failures"


# All arguments after the first one belong to the command, even if they look like options.
@click.command(context_settings={"allow_interspersed_args": False})
@click.argument(
    "command",
    nargs=-1,
    required=True,
    type=click.UNPROCESSED,
    metavar="-- COMMAND...",
    help="Command to run, with its arguments.",
)
@click.option("--url", help="URL of a running emulator to use; omit it to start one.")
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    default=0,
    help="Port of the emulator; 0 for any free port.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder to store all state in; overrides FACE_EMULATOR_DATA_DIR.",
)
@click.option(
    "--scenario",
    multiple=True,
    help="Scenario to load first: the name of a built-in scenario, or the path of a file; repeat the option "
    "for several.",
)
@click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice(FailOn, case_sensitive=False),
    help=(
        "Exit with 1 after a successful command if a call had a warning (`warnings`) or a status of 400 or "
        "more (`failures`); repeat the option for both."
    ),
)
@click.option(
    "--har", type=click.Path(dir_okay=False, path_type=Path), help="File to write all calls to, as HAR 1.2."
)
@click.option("--keep", is_flag=True, help="Keep the emulator running after the command, until Ctrl+C.")
@click.option(
    "--sealed",
    is_flag=True,
    help=(
        "Run the command in Linux namespaces where the vendors' host names resolve to the emulator, and no "
        "other host is reachable. Linux only."
    ),
)
@click.option("--print-env", is_flag=True, help="Print to stderr the variables that are set for the command.")
def execute(
    *,
    command: tuple[str, ...],
    url: str | None,
    port: int,
    data_dir: Path | None,
    scenario: tuple[str, ...],
    fail_on: tuple[FailOn, ...],
    har: Path | None,
    keep: bool,
    sealed: bool,
    print_env: bool,
) -> None:
    """Run a command against a new emulator, or against a running one.

    The command starts when the emulator is ready. It runs without a shell, and receives signals such as
    SIGTERM. Environment variables make unmodified clients use the emulator as a proxy and trust its
    certificates. Clients that ignore these variables need --sealed: fetch in Node before version 24, PHP
    streams, and aiohttp without trust_env. The exit code is that of the command, or 125 if the emulator
    fails, 126 if the command is not executable, or 127 if the command does not exist.
    """
    if sys.platform == "win32":
        raise failed("exec needs Linux or macOS; see `face-emulator env`", code=OWN_FAILURE)
    from emulator.commands.child import CannotStart, open_standard_files

    open_standard_files()
    logging.basicConfig(level=logging.WARNING, format="face-emulator: %(message)s")
    _end_at_signals()
    options = _Options(
        url, port, data_dir, scenario, fail_on, har, keep=keep, is_sealed=sealed, print_env=print_env
    )
    try:
        _check(options)
        with _started(options) if url is None else _running(options) as (client, base_url):
            code = _run(command, client, base_url, options)
    except CannotStart as error:
        raise failed(str(error), code=error.code) from error
    except _Signalled as end:
        raise Exit(128 + end.number) from None
    except Exit:  # already reported
        raise
    except (CallFailed, OSError) as error:
        raise failed(str(error), code=OWN_FAILURE) from error
    except Exception as error:
        raise stopped(error, code=OWN_FAILURE) from error
    raise Exit(code)


@dataclass(frozen=True)
class _Options:
    url: str | None
    port: int
    data_dir: Path | None
    scenarios: Sequence[str]
    fail_on: tuple[FailOn, ...]
    har: Path | None
    _: KW_ONLY
    keep: bool
    is_sealed: bool
    print_env: bool


def _check(options: _Options) -> None:
    """Check the options that depend on each other.

    Raises
    ------
    CallFailed
        If ``--url`` is given with an option for an emulator that ``exec`` starts, or the folder of the HAR
        file does not exist.
    """
    if options.url is not None:
        given = {"--port": options.port, "--data-dir": options.data_dir, "--sealed": options.is_sealed}
        given |= {"--keep": options.keep}
        for name, value in given.items():
            if value:
                raise CallFailed(f"{name} cannot be combined with --url, which uses a running emulator")
    if options.har is not None and not options.har.absolute().parent.is_dir():
        raise CallFailed(f"--har {options.har}: the folder {options.har.absolute().parent} does not exist")


@contextlib.contextmanager
def _started(options: _Options) -> Iterator[tuple[Client, str]]:
    """Start an emulator, and yield a client and the base URL of the vendors' APIs."""
    require_server("exec without --url", code=OWN_FAILURE)
    from emulator.server import running_server
    from face_api_emulator.client import Client

    settings = _settings(options)
    if options.is_sealed:
        _seal(settings)
    # In the sealed network, clients reach the vendors' names at the ports of their URLs.
    http_port, tls_port = (HTTP_PORT, HTTPS_PORT) if options.is_sealed else (0, 0)
    with (
        running_server(settings, port=options.port or http_port, tls_port=tls_port) as listening,
        Client(listening.control_url or listening.base_url) as client,
    ):
        _say(f"running at {listening.base_url}")
        yield client, listening.base_url


@contextlib.contextmanager
def _running(options: _Options) -> Iterator[tuple[Client, str]]:
    """Yield a client of a running emulator, and its base URL."""
    from face_api_emulator.client import Client

    with Client(options.url or "") as client:
        _check_journal(options, is_on=client.health().journal is not None)
        for name in options.scenarios:
            client.load_scenario(Path(name) if name.endswith(FILES) else name)
        yield client, client.base_url


def _run(command: Sequence[str], client: Client, base_url: str, options: _Options) -> int:
    """Run the command against an emulator, and return the exit code."""
    from emulator.commands.child import run
    from face_api_emulator.client import ControlError
    from face_api_emulator.client.costs import difference
    from face_api_emulator.client.variables import variables_of

    with working("loading the face core"):
        client.wait_until_ready(START_SECONDS)
    variables = variables_of(client, base_url, os.environ, has_proxy=not options.is_sealed)
    if options.print_env:
        for name, value in variables.items():
            click.echo(f"{name}={value}", err=True)
    before = client.health().journal
    last = before.last if before else 0
    costs = client.costs(since_start=True)
    code = run(command, {**os.environ, **variables})
    try:
        calls = client.calls(after=last)
        spent = difference(costs, client.costs(since_start=True))
        journal = client.health().journal
        dropped = max(0, journal.last_dropped - last) if journal else 0
        _say(_summary(calls, spent, dropped, is_recorded=journal is not None))
        if options.har is not None:
            options.har.write_text(json.dumps(client.har(after=last), indent=1) + "\n")
            _say(f"wrote {options.har}")
    except (ControlError, OSError) as error:
        # If the command failed too, its exit code is more useful.
        _say(str(error))
        return code or OWN_FAILURE
    if options.keep:
        _keep(base_url)
    return code or _verdict(calls, options.fail_on, dropped)


def _settings(options: _Options) -> Settings:
    """Return the settings from the environment, overridden by the options.

    Raises
    ------
    CallFailed
        If an option needs the journal, but the journal is off.
    """
    from emulator.settings import Settings

    # ``exec`` needs the control API, and only this machine can reach the emulator that it starts.
    given: dict[str, Any] = {"control": "auto"}
    if options.data_dir is not None:
        given["data_dir"] = options.data_dir
    if options.scenarios:
        given["scenarios"] = tuple(options.scenarios)
    settings = Settings(**given)
    _check_journal(options, is_on=settings.journal_calls > 0)
    return settings


def _check_journal(options: _Options, *, is_on: bool) -> None:
    """Raise CallFailed if an option needs the journal, but the journal is off."""
    if (options.fail_on or options.har is not None) and not is_on:
        raise CallFailed("--fail-on and --har need the journal, but FACE_EMULATOR_JOURNAL_CALLS is 0")


def _seal(settings: Settings) -> None:
    from emulator.commands.namespace import seal
    from emulator.web.vendor import discover_vendors

    vendors = discover_vendors(settings.vendor_packages)
    seal([name for vendor in vendors for name in (*vendor.hosts, *vendor.stores)])


def _summary(calls: Sequence[RecordedCall], costs: Costs, dropped: int, *, is_recorded: bool) -> str:
    counts = [
        _counted(len(calls), "call"),
        f"{sum(map(_is_failure, calls))} failed",
        _counted(sum(len(call.warnings) for call in calls), "warning"),
    ]
    units = sum(each.units for each in costs.operations)
    counts += [_counted(units, "unit")] if units else []
    counts += [f"{amount} {currency}" for currency, amount in costs.totals.items()]
    lines = [", ".join(counts)]
    for call in calls:
        lines += [
            f"call {call.number}, {call.method} {call.target}: {warning['code']}: {warning['detail']}"
            for warning in call.warnings
        ]
    if dropped:
        lines.append(
            f"the journal dropped the first {_counted(dropped, 'call')}; increase "
            "FACE_EMULATOR_JOURNAL_CALLS or FACE_EMULATOR_JOURNAL_BYTES"
        )
    if not is_recorded:
        lines.append("the calls were not counted, because FACE_EMULATOR_JOURNAL_CALLS is 0")
    return "\nface-emulator: ".join(lines)


def _counted(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


def _is_failure(call: RecordedCall) -> bool:
    return call.status is None or call.status >= 400


def _verdict(calls: Sequence[RecordedCall], fail_on: Sequence[FailOn], dropped: int) -> int:
    """Return the exit code of ``exec`` after the command has succeeded.

    If the journal dropped calls, ``exec`` cannot know that no call had a warning or failed.
    """
    has_warnings = FailOn.WARNINGS in fail_on and any(call.warnings for call in calls)
    has_failures = FailOn.FAILURES in fail_on and any(map(_is_failure, calls))
    if has_warnings or has_failures:
        return 1
    return OWN_FAILURE if fail_on and dropped else 0


class _Signalled(BaseException):
    """A signal that ends the emulator. As a ``BaseException``, it is not caught by ``except Exception``."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _end_at_signals() -> None:
    """Raise _Signalled at the first signal, and ignore further ones, so that the emulator stops cleanly."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(number: int, _frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise _Signalled(number)

    for each in numbers:
        signal.signal(each, end)


def _keep(url: str) -> None:
    """Wait for a signal."""
    with contextlib.suppress(_Signalled):
        # The user may press Ctrl+C as soon as the message appears.
        _say(f"still running at {url}; stop it with Ctrl+C")
        while True:
            signal.pause()


def _say(text: str) -> None:
    click.echo(f"face-emulator: {text}", err=True)
