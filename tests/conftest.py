"""Shared fixtures: one emulator for the session, webhook receivers, and pictures."""

from __future__ import annotations

import functools
import gc
import os
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from emulator.arithmetic import arithmetic_variables

# Let numpy round as it does in the emulator's workers. With one thread, tests of the face core also take two
# thirds of the CPU time. Without xdist, this is too late, because plugins of pytest have imported numpy.
os.environ.update(arithmetic_variables())

# ruff: isort: split
import httpx
import hypothesis
import numpy as np
import pytest
import remembered
from object_stores import BUCKET, S3Server
from postgres import MISSING, PostgresServer, new_server, shared_server

from emulator.backends.queue.pool import WorkerPool
from emulator.pipelines.encoding import encode_jpeg
from emulator.server import Listening, running_server
from emulator.settings import Settings

ROOT = Path(__file__).parent.parent

# The same examples in every run, so that a failure can be repeated. Tests do not measure time.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

# Every test, and every process that a test starts, also loads the example vendor from outside the package.
os.environ["FACE_EMULATOR_VENDOR_PACKAGES"] = '["emulator.vendors", "example_vendor"]'
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests"), *filter(None, [os.getenv("PYTHONPATH")])])


@functools.cache
def _default_context(_ca_file: str | None, _ca_folder: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _shared_context(*, verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    """Return the TLS context of a new HTTP client. Clients with default settings share one.

    To make one takes 30 ms, and the tests make a thousand clients.
    """
    if verify is True and cert is None and trust_env:
        return _default_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return httpx.create_ssl_context(verify, cert, trust_env)


# There is no public way.
httpx._transports.default.create_ssl_context = _shared_context  # type: ignore[attr-defined, assignment]  # noqa: SLF001

FACES = ROOT / "fixtures" / "faces"
WARM_UP_SECONDS = 120
TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Received:
    """A request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A webhook endpoint that records requests. It answers with the next of ``answers``, or with 200."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[tuple[int, Mapping[str, str]]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._arrived = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, extra = outer._note(Received(self.path, headers, body))
                outer.may_answer.wait(TIMEOUT_SECONDS)
                self.send_response(status)
                for name, value in {**extra, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def _note(self, received: Received) -> tuple[int, Mapping[str, str]]:
        with self._arrived:
            self.received.append(received)
            self._arrived.notify_all()
            return self.answers.pop(0) if self.answers else (200, {})

    def wait(self, count: int) -> list[Received]:
        """Wait for ``count`` requests and return all that have arrived."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.received) >= count, TIMEOUT_SECONDS)
            return list(self.received)

    def close(self) -> None:
        """Stop the server."""
        self.may_answer.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receivers() -> Iterator[Callable[[], Receiver]]:
    """Return a function that starts a webhook endpoint."""
    with ExitStack() as stack:

        def start() -> Receiver:
            receiver = Receiver()
            stack.callback(receiver.close)
            return receiver

        yield start


@pytest.fixture
def receiver(receivers: Callable[[], Receiver]) -> Receiver:
    """A webhook endpoint."""
    return receivers()


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], object]:
    """Return a function that calls its argument until the result is true, and returns the result."""

    def wait(look: Callable[[], object]) -> object:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.005)
        raise AssertionError("the condition did not become true in time")

    return wait


@pytest.fixture(scope="session")
def server(workers: WorkerPool) -> Iterator[Listening]:
    """An emulator with default settings, on a real socket."""
    with running_server(Settings(), workers=workers) as listening:
        yield listening


@pytest.fixture(scope="session")
def client(server: Listening) -> Iterator[httpx.Client]:
    """A client of the session's emulator."""
    with httpx.Client(base_url=server.base_url, timeout=WARM_UP_SECONDS) as client:
        yield client


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of the test run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if hasattr(request.config, "workerinput") else folder


@pytest.fixture(scope="session")
def workers(run_folder: Path) -> Iterator[WorkerPool]:
    """A warm worker for emulators in tests, because loading the face core takes longer than most tests."""
    variables = remembered.variables(run_folder / "remembered")
    pool = WorkerPool(1, remembered.WARM_UP, {**arithmetic_variables(), **variables})
    pool.warm_up()
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def postgres_server(run_folder: Path) -> Iterator[PostgresServer]:
    """The PostgreSQL server of the test run. Tests that stop it use ``own_postgres_server``."""
    with shared_server(run_folder) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Address of an empty PostgreSQL database."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server that the test can stop and start."""
    server = new_server()
    yield server
    server.remove()


def pytest_xdist_auto_num_workers() -> int:
    """Use one process more than there are processors, because tests wait for processes that they start."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Let the garbage collector ignore the collected tests and their modules, and run less often.

    To visit these objects takes a quarter of a second of each full collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped, because a program is not installed."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    skipped = sum(MISSING in reason for reason in reasons)
    if skipped:
        terminalreporter.write_line(f"{skipped} tests were skipped, because {MISSING}")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 that runs for all tests."""
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a folder in an S3 that this test has for itself. The variables for it are set."""
    for name, value in s3_server.variables.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4()}"


@pytest.fixture(scope="session")
def face_jpeg() -> bytes:
    """A picture of one frontal face."""
    return (FACES / "ok-frontal.jpg").read_bytes()


@pytest.fixture(scope="session")
def two_faces_jpeg() -> bytes:
    """A picture of two faces."""
    return (FACES / "two-faces.jpg").read_bytes()


@pytest.fixture(scope="session")
def landscape_jpeg() -> bytes:
    """A picture without a face: a colour gradient."""
    ramp = np.linspace(0, 255, 400, dtype=np.uint8)
    return encode_jpeg(np.stack(np.broadcast_arrays(ramp, ramp[:, None], np.uint8(90)), axis=-1))


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    """Return a function that serves bytes over HTTP and returns their URL."""
    with ExitStack() as stack:

        def start(data: bytes) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

                def log_message(self, *_: object) -> None:
                    pass

            web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            thread = threading.Thread(target=web.serve_forever, args=(0.02,))
            thread.start()
            stack.callback(web.server_close)
            stack.callback(thread.join)
            stack.callback(web.shutdown)
            return f"http://127.0.0.1:{web.server_address[1]}/picture"

        yield start
