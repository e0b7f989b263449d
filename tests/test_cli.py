from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as PillowImage

from emulator.backends.records.sqlite import SqliteRecords
from emulator.cli import app
from emulator.control.console import is_built
from emulator.version import VERSION

COMMAND = [sys.executable, "-m", "emulator"]
NOT_BUILT = "" if is_built() else " (not installed; the page explains how to install it)"


@pytest.fixture(autouse=True)
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start servers with one worker, so that they load the face core only once."""
    monkeypatch.setenv("FACE_EMULATOR_WORKERS", "1")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - our own command


def test_serve_prints_a_banner_and_then_ready() -> None:
    with subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "Ready.":
            line = process.stdout.readline()
            assert line, "the server stopped"
            lines.append(line.rstrip())
        found = re.search(r"http://127\.0\.0\.1:\d+", lines[0])
        assert found is not None
        base_url = found[0]
        assert lines == [
            f"Face++         {base_url}/facepp",
            f"MetaHuman SDK  {base_url}/auth",
            f"Perfect Corp   {base_url}/s2s",
            f"Example Faces  {base_url}/example",
            f"Control        {base_url}/_emulator",
            f"Console        {base_url}/_emulator/console/{NOT_BUILT}",
            "seed 0, clock system",
            "Ready.",
        ]
        ready = httpx.get(f"{base_url}/_emulator/ready").json()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - began < 10
        assert out == ""
        assert ready == {
            "ready": True,
            "face_core_warm": True,
            "hooks_run": True,
            "storage": None,
            "workers": None,
        }
        # One line for the one request, and none from libraries.
        assert [line.partition(" ")[2] for line in err.splitlines()] == [
            line.partition(" ")[2] for line in err.splitlines() if "GET /_emulator/ready" in line
        ]


def test_the_access_log_omits_the_query_string() -> None:
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = next(found[0] for line in process.stdout if (found := re.search(r"http://[^/\s]+", line)))
        httpx.post(f"{url}/facepp/v1/3dface?api_key=my-key&api_secret=my-secret")
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert '"POST /facepp/v1/3dface HTTP/1.1" ' in said
    assert "my-" not in said


def test_serve_prints_its_urls_as_json_when_it_is_ready() -> None:
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        ready = httpx.get(f"{document['control']}/ready", trust_env=False)
        assert (ready.status_code, document["tls"], document["ca"]) == (200, None, None)
        assert document["vendors"]["perfectcorp"] == f"{document['url']}/s2s"
    finally:
        process.terminate()
        process.communicate()


def test_serve_reports_a_port_in_use_and_the_port_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port))
    assert done.returncode == 1
    assert f"127.0.0.1:{port} is in use" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("what", ["a file", "no database", "no document", "no folder for blobs"])
def test_serve_reports_an_unusable_data_folder(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "data"
    if what == "a file":
        folder.touch()
    else:
        folder.mkdir()
    if what == "no database":
        (folder / "records.sqlite3").write_bytes(b"What is this?" * 1000)
    elif what == "no folder for blobs":
        (folder / "blobs").touch()
    elif what == "no document":
        asyncio.run(store_a_wrong_rule(folder))
    done = run("serve", "--port", "0", "--data-dir", str(folder))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"face-emulator: {folder}")
    assert last.endswith("; choose another folder, or move this one elsewhere")
    assert "Traceback" not in done.stderr


async def store_a_wrong_rule(folder: Path) -> None:
    records = SqliteRecords(folder / "records.sqlite3")
    await records.open()
    await records.put("fault", "a", "", {})
    await records.close()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["serve", "--port", "0"], 1),
        (["demo"], 1),
        (["explore", "--", "true"], 2),
        (["drift", "--vendor", "metahuman", "--base-url", "http://127.0.0.1:9", "--key", "any"], 2),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else "",
)
def test_an_invalid_setting_is_reported_by_its_name_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
) -> None:
    monkeypatch.setenv("FACE_EMULATOR_SEED", "lucky")
    done = run(*arguments)
    assert done.returncode == code
    assert done.stderr == (
        "face-emulator: FACE_EMULATOR_SEED: input should be a valid integer, "
        "unable to parse string as an integer, not 'lucky'\n"
    )


@pytest.mark.parametrize(("name", "pillow_format"), [("face.jpg", "JPEG"), ("face.png", "PNG")])
def test_faces_writes_the_same_picture_for_a_seed(tmp_path: Path, name: str, pillow_format: str) -> None:
    pictures = []
    for attempt in ("first", "second"):
        path = tmp_path / attempt / name
        path.parent.mkdir()
        done = run("faces", "--seed", "7", "--yaw", "20", "--size", "256", "-o", str(path))
        assert (done.returncode, done.stderr) == (0, "")
        pictures.append(path.read_bytes())
    assert pictures[0] == pictures[1]
    with PillowImage.open(io.BytesIO(pictures[0])) as picture:
        assert (picture.format, picture.size) == (pillow_format, (256, 256))
        assert np.asarray(picture).std() > 20


def test_help_lists_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in (
        "serve",
        "demo",
        "faces",
        "drift",
        "explore",
        "reset",
        "clock",
        "faults",
        "scenario",
        "snapshot",
        "tasks",
    ):
        assert command in done.stdout
    assert "--data-dir" in run("serve", "--help").stdout


def test_explore_reports_an_unreachable_emulator_without_a_traceback() -> None:
    done = run("explore", "--url", "http://127.0.0.1:9", "--", "true")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("face-emulator: http://127.0.0.1:9: ")
    assert "Traceback" not in done.stderr


def test_serve_with_tls_prints_its_urls_and_the_certificate_to_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    arguments = ["serve", "--port", "0", "--tls=0", "--host", "127.0.0.1", "--host", "localhost"]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        assert process.stdout is not None
        lines = list(iter(lambda: process.stdout.readline().rstrip(), "Ready."))  # type: ignore[union-attr]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    ca = tmp_path / "face-api-emulator" / "tls" / "ca.pem"
    (line,) = (line for line in lines if line.startswith("TLS"))
    assert re.fullmatch(
        rf"TLS +https://127\.0\.0\.1:\d+ for the vendors' names; clients must trust {ca}", line
    )
    assert ca.read_text().startswith("-----BEGIN CERTIFICATE-----")


def test_serve_reports_a_damaged_certificate_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "face-api-emulator" / "tls"
    folder.mkdir(parents=True)
    (folder / "ca.pem").write_text("nothing")
    done = run("serve", "--port", "0", "--tls=0")
    assert done.returncode == 1
    assert f"delete {folder / 'ca.pem'}" in done.stderr
    assert "Traceback" not in done.stderr


def test_tls_without_a_port_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []

    async def serve(*_: object, tls_port: int | None, **__: object) -> None:
        asked.append(tls_port)

    monkeypatch.setattr("emulator.server.serve", serve)
    # It would change this process.
    monkeypatch.setattr("emulator.deferral.defer_models", lambda: None)
    for arguments in (["--tls"], ["--tls", "--port", "0"], ["--tls=443"], ["--tls", "443"], []):
        assert CliRunner().invoke(app, ["serve", *arguments]).exit_code == 0
    assert asked == [3469, 3469, 443, 443, None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'."),
        (["healthy"], "No such command 'healthy'. (Did you mean one of: 'health', 'healthcheck'?)"),
        (["--nonsense"], "No such option '--nonsense'."),
        (["clock", "now", "now"], "Got unexpected extra argument (now)"),
        (["clock", "advance"], "Missing argument 'SECONDS'."),
        (["clock", "advance", "soon"], "Invalid value for 'SECONDS': 'soon' is not a valid float range."),
        (["clock", "advance", "--", "-1"], "Invalid value for 'SECONDS': -1.0 is not in the range x>=0."),
        (["serve", "--port", "65536"], "Invalid value for '--port': 65536 is not in the range 0<=x<=65535."),
        (["drift"], "Missing option '--vendor'."),
        (
            ["env", "--format", "xml"],
            "Invalid value for '--format': 'xml' is not one of 'shell', 'dotenv', 'json', 'github'.",
        ),
        (["lifetimes", "metahuman", "a=b"], "Invalid value: a=b: write NAME=NUMBER or NAME=none"),
        (["exec", "--keep"], "Missing argument '-- COMMAND...'."),
        (["exec", "--fail-on", "nothing", "true"], "'nothing' is not one of 'warnings', 'failures'."),
    ],
)
def test_wrong_arguments_are_refused_with_2(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    usage, *_, last = done.stderr.splitlines()
    assert usage.startswith("Usage: ")
    assert last.startswith("Error: ")
    assert last.endswith(message)


def test_the_version_is_printed() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"face-emulator, version {VERSION}\n")


def test_ctrl_c_ends_a_command_with_the_exit_code_of_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app.commands["health"], "callback", interrupt)
    done = CliRunner().invoke(app, ["health"])
    assert (done.exit_code, done.output) == (130, "")
