"""pytest plugin: an emulator for each test, with its own credential, faults, clock and webhooks.

If the package is installed, pytest loads this plugin in every run. Expensive modules are therefore imported
only when a test needs an emulator.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import pytest

from face_api_emulator.pytest_plugin.marks import MARK, Conditions
from face_api_emulator.pytest_plugin.server import CannotStart, FaceEmulatorServer, SharedServer

if TYPE_CHECKING:
    from face_api_emulator.client.clock import Clock
    from face_api_emulator.client.models import Costs
    from face_api_emulator.pytest_plugin.emulator import FaceEmulator
    from face_api_emulator.pytest_plugin.faces import TestFaces
    from face_api_emulator.pytest_plugin.webhooks import WebhookSink

TITLE = "face-api-emulator: what this run would have cost"

HTTP_PORT = 80

_SHARED = pytest.StashKey[SharedServer]()
# These keep a ``FaceEmulator`` and a ``Seal``. The types are ``Any``, because most runs do not need their
# modules.
_EMULATOR = pytest.StashKey[Any]()
_SEAL = pytest.StashKey[Any]()

# Names of the values that the main process passes to its worker processes (xdist).
_FOLDER, _OWNER, _WORKER = "face_emulator_folder", "face_emulator_owner", "face_emulator_worker"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options to pytest."""
    group = parser.getgroup("face-api-emulator")
    group.addoption(
        "--face-emulator-url",
        metavar="URL",
        default=None,
        help="Base URL of a running emulator. By default, an emulator is started when a test needs it.",
    )
    group.addoption(
        "--face-emulator-evidence",
        metavar="FOLDER",
        default=None,
        help="Folder for the calls (HAR) of each failed test, and for a snapshot of the emulator.",
    )
    parser.addini(
        "face_emulator_start",
        default="auto",
        help="How to start an emulator. `auto`: from this Python environment. `uvx` or `docker`: with this "
        "command. Otherwise, a command with the placeholders {port} and {tls_port}.",
    )
    parser.addini(
        "face_emulator_image",
        default="face-api-emulator",
        help="Container image that `docker` starts.",
    )
    parser.addini(
        "face_emulator_sealed",
        type="bool",
        default=False,
        help="Block connections from tests to other machines, unless the mark says otherwise.",
    )
    parser.addini(
        "face_emulator_warnings_are_errors",
        type="bool",
        default=False,
        help="Fail tests whose requests have warnings, unless the mark says otherwise.",
    )
    parser.addini(
        "face_emulator_webhook_host",
        default="127.0.0.1",
        help="Host name that the emulator uses for this machine, such as `host.docker.internal`.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, and prepare the server that the processes of the run share."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(redirect=False, sealed=False, allowed=(), warnings_are_errors=False, max_units=None, "
        "max_cost=None): what the emulator does for a test, and what the test may do.",
    )
    folder, owner = None, os.getpid()
    if hasattr(config, "workerinput"):
        folder, owner = Path(config.workerinput[_FOLDER]), int(config.workerinput[_OWNER])
    config.stash[_SHARED] = SharedServer(
        folder, owner, config.getini("face_emulator_start"), config.getini("face_emulator_image")
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker process of xdist where the shared server is."""
    node.workerinput[_FOLDER] = str(node.config.stash[_SHARED].folder)
    node.workerinput[_OWNER] = os.getpid()
    # Only this mode runs the same test in several workers at once.
    is_each = node.config.getoption("dist", "no") == "each"
    node.workerinput[_WORKER] = node.gateway.id if is_each else ""


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the emulator that this run started."""
    shared = config.stash.get(_SHARED, None)
    if shared is not None and not hasattr(config, "workerinput"):
        shared.stop()
        shared.remove_folder()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the calls of this run would have cost, if any call was billed."""
    given: str | None = config.getoption("--face-emulator-url")
    running = config.stash[_SHARED].running() if given is None else FaceEmulatorServer(given.rstrip("/"))
    before = config.stash[_SHARED].costs()
    # If the costs from before the run were not read, no test used the emulator.
    if running is None or before is None:
        return
    from face_api_emulator.client.costs import cost_lines, difference  # noqa: PLC0415 - on demand

    after = _costs(running.base_url)
    if after is None:
        return
    lines = cost_lines(difference(before, after))
    if lines:
        terminalreporter.section(TITLE)
        for line in lines:
            terminalreporter.write_line(line)


def _costs(base_url: str) -> Costs | None:
    """Return the costs since the start of an emulator, or None if its control API cannot be reached.

    A reset of a credential does not change these costs.
    """
    from face_api_emulator.client import Client, ControlError, EmulatorUnreachable  # noqa: PLC0415 - on demand

    try:
        with Client(base_url) as client:
            return client.costs(since_start=True)
    except (ControlError, EmulatorUnreachable):
        return None


def _fail(reason: str) -> NoReturn:
    """Fail the test with only this reason: without a traceback and without earlier exceptions."""
    raise pytest.fail.Exception(reason, pytrace=False) from None


@pytest.fixture(scope="session")
def face_emulator_server(request: pytest.FixtureRequest) -> FaceEmulatorServer:
    """Return the emulator at ``--face-emulator-url``, or one that is started and shared by the whole run."""
    config = request.config
    given: str | None = config.getoption("--face-emulator-url")
    shared = config.stash[_SHARED]
    try:
        server = shared.open() if given is None else _given_server(given)
        shared.keep_costs(lambda: _costs(server.base_url))
    except CannotStart as error:
        _fail(str(error))
    return server


def _given_server(url: str) -> FaceEmulatorServer:
    """Return the emulator at ``--face-emulator-url``."""
    from face_api_emulator.client import Client, ControlError, EmulatorUnreachable  # noqa: PLC0415 - on demand

    server = FaceEmulatorServer(url.rstrip("/"))
    try:
        with Client(server.base_url) as client:
            client.health()
    except EmulatorUnreachable as error:
        _fail(f"{error}, or omit --face-emulator-url")
    except ControlError:  # the control API is off or has its own port
        pass
    return server


@pytest.fixture
def face_emulator_credential(request: pytest.FixtureRequest) -> str:
    """Return the credential of the test. Override this fixture if the tested code has its own credential."""
    return _generated(request.node)


def _generated(item: pytest.Item) -> str:
    """Return the credential that the plugin generates for a test."""
    worker = getattr(item.config, "workerinput", {}).get(_WORKER, "")
    digest = hashlib.sha256(f"{worker}{item.nodeid}".encode()).hexdigest()[:16]
    return f"test-{digest}"


@pytest.fixture
def face_emulator(
    request: pytest.FixtureRequest, face_emulator_server: FaceEmulatorServer, face_emulator_credential: str
) -> Iterator[FaceEmulator]:
    """Yield a client of the emulator's control API that is limited to the credential of the test."""
    from face_api_emulator.client import EmulatorUnreachable  # noqa: PLC0415 - on demand
    from face_api_emulator.pytest_plugin.emulator import FaceEmulator  # noqa: PLC0415 - on demand

    with FaceEmulator(face_emulator_server.base_url, face_emulator_credential) as emulator:
        try:
            emulator.reset()
        except EmulatorUnreachable as error:
            _fail(f"{error}\n{request.config.stash[_SHARED].output()}".rstrip())
        request.node.stash[_EMULATOR] = emulator
        yield emulator
        with contextlib.suppress(EmulatorUnreachable):  # the test may have stopped the emulator
            emulator.reset()


@pytest.fixture
def face_emulator_redirect(face_emulator_server: FaceEmulatorServer) -> Iterator[None]:
    """Make this process's connections to the vendors' host names go to the emulator."""
    from face_api_emulator.client import Client  # noqa: PLC0415 - on demand
    from face_api_emulator.testing.redirect import redirected  # noqa: PLC0415 - on demand

    with Client(face_emulator_server.base_url) as client:
        tls = client.health().tls
        if tls is None:
            _fail(f"the emulator at {client.base_url} does not serve TLS: start it with `serve --tls`")
        ca = client.certificates().decode()
    plain = urlsplit(face_emulator_server.base_url)
    host = plain.hostname or ""
    tls_port = urlsplit(tls.url).port or 443
    with redirected(tls.names, plain=(host, plain.port or HTTP_PORT), tls=(host, tls_port), ca=ca):
        yield


@pytest.fixture(scope="session")
def face_emulator_faces(face_emulator_server: FaceEmulatorServer) -> TestFaces:
    """Return the test faces by name: ``face_emulator_faces["two-faces"]`` is the content of a JPEG file."""
    from face_api_emulator.pytest_plugin.faces import TestFaces  # noqa: PLC0415 - on demand

    return TestFaces(face_emulator_server.base_url)


@pytest.fixture
def face_emulator_clock(face_emulator: FaceEmulator) -> Clock:
    """Return the clock of the test's credential. A test can freeze it, advance it, or travel to a time."""
    return face_emulator


@pytest.fixture
def face_emulator_faults(face_emulator: FaceEmulator) -> Callable[..., Any]:
    """Return a context manager that injects a fault, such as ``face_emulator_faults("slow", count=2)``."""
    return face_emulator.fault


@pytest.fixture
def face_emulator_webhooks(
    request: pytest.FixtureRequest, face_emulator: FaceEmulator
) -> Iterator[WebhookSink]:
    """Yield a receiver that gets the webhooks for the test's tasks, and verifies their signatures."""
    from face_api_emulator.pytest_plugin.webhooks import WebhookSink  # noqa: PLC0415 - on demand

    sink = WebhookSink(request.config.getini("face_emulator_webhook_host"))
    try:
        sink.trust(face_emulator.add_endpoint(sink.url).secret)
        yield sink
    finally:
        sink.close()


@pytest.fixture(autouse=True)
def _face_emulator_mark(request: pytest.FixtureRequest) -> Iterator[None]:
    """Apply the mark ``face_emulator`` of a test, and the settings of the ini file."""
    try:
        conditions = Conditions.of(request.node)
    except pytest.UsageError as error:
        _fail(str(error))
    # The mark starts an emulator. The setting in the ini file does not, because it applies to every test.
    has_mark = any(mark.kwargs.get("warnings_are_errors") for mark in request.node.iter_markers(MARK))
    if conditions.needs_emulator or (has_mark and conditions.warnings_are_errors):
        request.getfixturevalue("face_emulator")
    if conditions.redirect:
        request.getfixturevalue("face_emulator_redirect")
    if not conditions.sealed:
        yield
        return
    from face_api_emulator.testing.seal import sealed  # noqa: PLC0415 - on demand

    allowed = list(conditions.allowed)
    given: str | None = request.config.getoption("--face-emulator-url")
    if given is not None:
        allowed.append(urlsplit(given).hostname or "")
    with sealed(allowed) as seal:
        request.node.stash[_SEAL] = seal
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that passed but broke the conditions of its mark."""
    yield
    seal = item.stash.get(_SEAL, None)
    reasons = (
        [f"the test is sealed, but tried to reach {each.target} at {each.where}" for each in seal.attempts]
        if seal
        else []
    )
    emulator = item.stash.get(_EMULATOR, None)
    if emulator is not None:
        conditions = Conditions.of(item)
        if conditions.has_limits:
            calls = emulator.calls()
            reasons += conditions.broken(calls, emulator.costs())
            if conditions.warnings_are_errors and not calls and emulator.health().journal is None:
                reasons.append("warnings_are_errors needs the journal, but FACE_EMULATOR_JOURNAL_CALLS is 0")
    if reasons:
        _fail("\n".join(reasons))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the calls of a failed test to its report, and keep them as files on request."""
    report = yield
    emulator = item.stash.get(_EMULATOR, None)
    if report.failed and call.when != "teardown" and emulator is not None:
        _add_journal(item, report, emulator)
    return report


def _add_journal(item: pytest.Item, report: pytest.TestReport, emulator: FaceEmulator) -> None:
    from face_api_emulator.client import ControlError, EmulatorUnreachable  # noqa: PLC0415 - on demand
    from face_api_emulator.pytest_plugin.report import TITLE as JOURNAL  # noqa: PLC0415 - on demand
    from face_api_emulator.pytest_plugin.report import journal_lines, keep_evidence  # noqa: PLC0415 - on demand

    # The test may have stopped the emulator. The failure of the test must be reported even then.
    with contextlib.suppress(ControlError, EmulatorUnreachable):
        # Do not print a credential that the plugin has not generated, because it may be a real key.
        is_generated = emulator.credential == _generated(item)
        shown = emulator.credential if is_generated else None
        lines = list(journal_lines(emulator, emulator.calls(), emulator.faults(), emulator.unmet, shown))
        folder: str | None = item.config.getoption("--face-emulator-evidence")
        if folder is not None:
            kept = keep_evidence(emulator, Path(folder), item.nodeid)
            lines.append(f"kept: {', '.join(map(str, kept))}")
        report.sections.append((JOURNAL, "\n".join(lines)))
