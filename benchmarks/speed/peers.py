"""Servers of other projects that answer similar calls.

They are installed into ``.cache/bench`` when they are first needed. A peer that cannot be installed or
started is left out, and the report says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.speed.client import TASK
from benchmarks.speed.report import Report
from benchmarks.speed.servers import KEY, Running, running

CACHE = Path(".cache/bench").absolute()
ANSWER = {"status": 200, "data": {"task_status": "running"}}
POLL = f"{TASK}/poll"


@dataclass(frozen=True)
class Peer:
    """A running peer: the URL to call, and the headers to send."""

    target: str
    headers: Mapping[str, str] = field(default_factory=dict)


def start(stack: ExitStack, report: Report, server: Running) -> list[tuple[str, Peer]]:
    """Start the peers that can be started here. ``server`` is the emulator, which describes its API."""
    found = []
    for name, peer in (("moto", _moto()), ("Prism", _prism(server)), ("WireMock", _wiremock())):
        try:
            found.append((name, stack.enter_context(peer)))
        except (OSError, RuntimeError, subprocess.SubprocessError, httpx.HTTPError) as error:
            report.note(f"{name} is left out: {error}")
    return found


@contextmanager
def _moto() -> Iterator[Peer]:
    """Run moto's server, which returns a small object of a bucket from memory."""
    folder = CACHE / "moto"
    if not (folder / "bin" / "moto_server").exists():
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "moto[server,s3]"])
    with running([str(folder / "bin" / "moto_server"), "-p", "PORT"], "/moto-api/") as server:
        httpx.put(f"{server.url}/bench", trust_env=False).raise_for_status()
        httpx.put(
            f"{server.url}/bench/task", json=ANSWER, headers={"x-amz-acl": "public-read"}, trust_env=False
        ).raise_for_status()
        yield Peer(f"{server.url}/bench/task")


@contextmanager
def _prism(server: Running) -> Iterator[Peer]:
    """Run Prism, which generates responses from the emulator's own OpenAPI document."""
    folder = _npm("prism", "@stoplight/prism-cli")
    document = folder / "perfectcorp.json"
    described = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "emulator", "openapi", "perfectcorp", "--url", server.url],
        capture_output=True,
        check=True,
    )
    document.write_bytes(described.stdout)
    command = [str(folder / "node_modules" / ".bin" / "prism"), "mock", "-p", "PORT", str(document)]
    with running(command, POLL, interval=0.05) as prism:
        yield Peer(f"{prism.url}{POLL}", KEY)


@contextmanager
def _wiremock() -> Iterator[Peer]:
    """Run WireMock on Java, with one stub."""
    _program("java")
    folder = _npm("wiremock", "wiremock")
    stubs = folder / "stubs" / "mappings"
    stubs.mkdir(parents=True, exist_ok=True)
    stub = {
        "request": {"method": "GET", "urlPath": POLL},
        "response": {"status": 200, "jsonBody": ANSWER, "headers": {"Content-Type": "application/json"}},
    }
    (stubs / "poll.json").write_text(json.dumps(stub))
    jar = next((folder / "node_modules").rglob("wiremock*.jar"), None)
    if jar is None:
        raise RuntimeError("the package has no jar")
    command = ["java", "-jar", str(jar), "--port", "PORT", "--root-dir", str(stubs.parent)]
    with running(command, POLL, interval=0.05) as server:
        yield Peer(f"{server.url}{POLL}")


def _npm(name: str, package: str) -> Path:
    folder = CACHE / name
    if not (folder / "node_modules").exists():
        _program("npm")
        folder.mkdir(parents=True, exist_ok=True)
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), package])
    return folder


def _program(name: str) -> None:
    if shutil.which(name) is None:
        raise RuntimeError(f"{name} is not installed")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - package managers
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip().splitlines()[-1])
