"""Servers that run for the duration of a measurement."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

START_SECONDS = 60.0
HELLO, STORE = (Path(__file__).with_name(name) for name in ("hello.py", "store.py"))
KEY = {"Authorization": "Bearer benchmark"}


@dataclass(frozen=True)
class Running:
    """A running server.

    Attributes
    ----------
    port : int
    process : psutil.Process
    seconds : float
        From the start of the process to the first response.
    """

    port: int
    process: psutil.Process
    seconds: float

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    def rss_mb(self) -> tuple[float, list[float]]:
        """Return the memory of the server and of each worker, in MB."""
        workers = sorted(child.memory_info().rss / 1e6 for child in self.process.children(recursive=True))
        return self.process.memory_info().rss / 1e6, [each for each in workers if each > 50]


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str],
    path: str = "/",
    *,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    interval: float = 0.001,
) -> Iterator[Running]:
    """Run a server. In ``command``, ``PORT`` stands for its port. Wait until it answers ``path``.

    Raises
    ------
    RuntimeError
        If the server ends, or does not answer in time.
    """
    port = free_port()
    begun = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - the benchmark's own commands
        [part.replace("PORT", str(port)) for part in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(variables or {})},
        cwd=folder,
    ) as process:
        try:
            while not _answers(port, path):
                if process.poll() is not None:
                    raise RuntimeError(f"{command[0]} ended with exit code {process.returncode}")
                if time.perf_counter() - begun > START_SECONDS:
                    raise RuntimeError(f"{command[0]} does not answer")
                time.sleep(interval)
            yield Running(port, psutil.Process(process.pid), time.perf_counter() - begun)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers=KEY)
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def hello() -> contextlib.AbstractContextManager[Running]:
    """Run an empty FastAPI application on uvicorn, in this environment."""
    return running([sys.executable, str(HELLO), "PORT"])


@contextlib.contextmanager
def store() -> Iterator[Running]:
    """Run the smallest FastAPI application that stores a JSON body in SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(STORE), "PORT", str(Path(folder, "documents.sqlite"))]
        with running(command) as server:
            yield server


def emulator(path: str = "/_emulator/ready", **variables: str) -> contextlib.AbstractContextManager[Running]:
    """Run the emulator, and wait until it answers ``path``: by default, until it is ready."""
    command = [sys.executable, "-m", "emulator", "serve", "--port", "PORT"]
    return running(
        command, path, variables={f"FACE_EMULATOR_{name}": text for name, text in variables.items()}
    )
