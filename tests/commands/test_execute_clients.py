"""``exec`` and ``env``, with unmodified clients that call the vendors' own names."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_runs import face_emulator

CLIENTS = Path(__file__).parent.parent / "clients"
FACES = Path(__file__).parent.parent.parent / "fixtures" / "faces"


def _has_php_curl() -> bool:
    php = shutil.which("php")
    if php is None:
        return False
    ran = subprocess.run([php, "-m"], capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    return "curl" in ran.stdout.split()


PROGRAMS = {
    "curl": (["sh", str(CLIENTS / "upload_curl.sh")], shutil.which("curl") is not None),
    "urllib": ([sys.executable, str(CLIENTS / "upload_urllib.py")], True),
    "requests": ([sys.executable, str(CLIENTS / "upload_requests.py")], True),
    "httpx": ([sys.executable, str(CLIENTS / "upload_httpx.py")], True),
    "aiohttp": (
        [sys.executable, str(CLIENTS / "upload_aiohttp.py")],
        importlib.util.find_spec("aiohttp") is not None,
    ),
    "fetch": (["node", str(CLIENTS / "upload_fetch.mjs")], shutil.which("node") is not None),
    "https": (["node", str(CLIENTS / "upload_https.mjs")], shutil.which("node") is not None),
    "java": (
        [
            "java",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            str(CLIENTS / "Flow.java"),
            str(FACES / "ok-frontal.jpg"),
        ],
        shutil.which("java") is not None,
    ),
    "java-url": (
        [
            "java",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            str(CLIENTS / "FlowUrl.java"),
            str(FACES / "ok-frontal.jpg"),
        ],
        shutil.which("java") is not None,
    ),
    "php-curl": (["php", str(CLIENTS / "upload_curl.php")], _has_php_curl()),
    "php-streams": (["php", str(CLIENTS / "upload_streams.php")], shutil.which("php") is not None),
    "go": (["go", "run", str(CLIENTS / "upload.go")], shutil.which("go") is not None),
}
"""The clients, and whether this machine can run them."""

LEAVE = "import socket; socket.create_connection(('192.0.2.1', 443), 5)"

WITHOUT_PROXY = {"aiohttp", "fetch", "https", "php-streams"}
"""Clients that ignore the proxy variables, and need the sealed run."""


def needs(name: str) -> None:
    if not PROGRAMS[name][1]:
        pytest.skip(f"this machine has no {name}")


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - WITHOUT_PROXY))
def test_an_unmodified_client_reaches_the_emulator_by_variables_alone(
    variables: dict[str, str], name: str
) -> None:
    needs(name)
    command, _ = PROGRAMS[name]
    ran = subprocess.run(  # noqa: S603 - our own clients
        command, capture_output=True, text=True, timeout=180, check=False, env={**os.environ, **variables}
    )
    assert ran.stdout.startswith("done "), ran.stderr
    assert name.startswith("java") or ran.stdout == "done 200\n"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The output and the messages of one sealed run of all clients."""
    script = [
        f"echo {name}: $({shlex.join(command)} 2>&1 | tail -1)"
        for name, (command, is_there) in sorted(PROGRAMS.items())
        if is_there
    ]
    script += [
        "echo plain: $(curl -s http://api-us.faceplusplus.com/nothing)",
        "curl -sS --max-time 20 https://example.com 2>&1 || echo refused: $?",
        shlex.join([sys.executable, "-c", LEAVE]) + " 2>&1 | tail -1",
    ]
    folder = str(tmp_path_factory.mktemp("sealed"))
    ran = face_emulator("exec", "--sealed", "--", "sh", "-c", "\n".join(script), XDG_STATE_HOME=folder)
    if ran.returncode == 125 and "namespaces" in ran.stderr:
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, ran.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_unmodified_client_reaches_the_emulator_in_a_sealed_run(
    sealed: tuple[str, str], name: str
) -> None:
    needs(name)
    assert any(line.startswith(f"{name}: done ") for line in sealed[0].splitlines()), sealed[0]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_no_request_leaves_a_sealed_run(sealed: tuple[str, str]) -> None:
    if PROGRAMS["curl"][1]:
        assert "refused: 6" in sealed[0]  # the name does not resolve
        assert 'plain: {"error_message":"API_NOT_FOUND"}' in sealed[0]
    assert "Network is unreachable" in sealed[0]
