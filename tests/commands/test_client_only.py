"""Commands where only the client is installed: the packages of the server are hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.server import Listening
from emulator.version import VERSION
from face_api_emulator.client import Client

HIDDEN = (
    "aiosqlite",
    "fastapi",
    "httpx",
    "mediapipe",
    "numpy",
    "pydantic",
    "rich",
    "uvicorn",
    "yaml",
)
HIDE = f"""
import sys

class Hidden:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {HIDDEN!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {HIDDEN!r} else find(name, package)
sys.meta_path.insert(0, Hidden)
from emulator.cli import main
main()
"""


def client_only(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parent.parent.parent)
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", HIDE, *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["serve"], 1, "serve"),
        (["demo"], 1, "demo"),
        (["explore", "--", "true"], 1, "explore"),
        (["faces", "--name", "list"], 1, "faces"),
        (["drift", "--vendor", "perfectcorp", "--list"], 1, "drift"),
        (["exec", "--", "true"], 125, "exec without --url"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_command_that_needs_the_emulator_says_so(arguments: list[str], code: int, what: str) -> None:
    ran = client_only(*arguments)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert ran.stderr == (
        f"face-emulator: {what} needs the emulator, but only its client is installed here; install "
        "`face-api-emulator[server]` on Python 3.11 or 3.12, or run "
        "`uvx --python 3.12 --from 'face-api-emulator[server]' face-emulator`\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], ["health"], ["wait"], ["healthcheck"], ["doctor"], ["env"], ["openapi", "metahuman"],
        ["costs"], ["lifetimes"], ["clock", "now"], ["faults", "names"], ["faults", "list"],
        ["scenario", "list"], ["tasks", "list"], ["webhooks", "list"], ["calls", "list"],
        ["calls", "warnings"], ["credentials", "list"], ["completion", "bash"],
        ["exec", "--url", "URL", "--", "true"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_the_other_commands_work(arguments: list[str], server: Listening) -> None:
    with Client(server.base_url) as client:
        client.wait_until_ready()  # `healthcheck` fails until then
    words = [server.base_url if word == "URL" else word for word in arguments]
    offline = arguments[0] in {"--help", "completion", "exec"}
    ran = client_only(*words, *([] if offline else ["--url", server.base_url]))
    assert (ran.returncode, "Traceback" in ran.stderr) == (0, False), ran.stderr


def test_a_refusal_by_the_emulator_is_reported_by_exec(server: Listening) -> None:
    ran = client_only("exec", "--url", server.base_url, "--scenario", "nope", "--", "true")
    assert (ran.returncode, ran.stdout) == (125, "")
    assert ran.stderr.startswith("face-emulator: ")
    assert "nope" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_doctor_says_that_only_the_client_is_installed(server: Listening) -> None:
    ran = client_only("doctor", "--url", server.base_url)
    assert ran.stdout.startswith("warn  package: only the client is installed -> to run an emulator here")
    assert f"emulator: {VERSION} at {server.base_url}" in ran.stdout
