"""Fixtures that run commands, against the session's emulator or one with TLS."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from emulator.backends.queue.pool import WorkerPool
from emulator.cli import app
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.client import Client
from face_api_emulator.client.variables import variables_of

ME = "commander"


@pytest.fixture
def tell(server: Listening) -> Callable[..., str]:
    """Return a function that runs a command against the session's emulator and returns its output."""

    def run(*arguments: str, fails: bool = False) -> str:
        done = CliRunner().invoke(app, [*arguments, "--url", server.base_url])
        assert (done.exit_code != 0) == fails, done.output
        return done.output.strip()

    return run


@pytest.fixture
def tell_mine(tell: Callable[..., str]) -> Callable[..., str]:
    """Return a function that runs a command with the credential of ``me``."""
    return lambda *arguments: tell(*arguments, "-c", ME)


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    """A control client with a credential that only the tests of commands use."""
    with Client(server.base_url, ME) as client:
        yield client
        client.reset()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the certificate authority."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def secure(state: Path, workers: WorkerPool) -> Iterator[Listening]:
    """A server with TLS."""
    with running_server(Settings(data_dir=state / "data"), workers=workers, tls_port=0) as server:
        yield server


@pytest.fixture(scope="module")
def variables(secure: Listening) -> dict[str, str]:
    """The variables with which a child reaches the server."""
    with Client(secure.base_url) as client:
        return variables_of(client, secure.base_url, os.environ)


@pytest.fixture
def execute_here(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], state: Path, workers: WorkerPool
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Return a function that runs ``exec`` in this process.

    The emulator that ``exec`` starts uses the running worker of the tests. Starting one takes seconds.
    """
    monkeypatch.setattr("emulator.server.running_server", partial(running_server, workers=workers))
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as end:
                app(["exec", *arguments])
        printed = capfd.readouterr()
        code = end.value.code or 0
        assert isinstance(code, int)
        return subprocess.CompletedProcess(arguments, code, printed.out, printed.err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
