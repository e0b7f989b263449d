"""``exec`` and ``env``, with unmodified clients that call the vendors' own names."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.client import Client
from emulator.client.variables import variables_of
from emulator.commands.environment import Format, written
from emulator.commands.execute import execute
from emulator.commands.explore import explore
from emulator.server import Listening, running_server
from emulator.settings import Settings
from emulator.web.vendor import discover_vendors

CLIENTS = Path(__file__).parent.parent / "clients"
FACES = Path(__file__).parent.parent.parent / "fixtures" / "faces"
VENDORS = discover_vendors(Settings().vendor_packages)


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
        ["java", str(CLIENTS / "Flow.java"), str(FACES / "ok-frontal.jpg")],
        shutil.which("java") is not None,
    ),
    "java-url": (
        ["java", str(CLIENTS / "FlowUrl.java"), str(FACES / "ok-frontal.jpg")],
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


def face_emulator(
    *arguments: str, timeout: float = 180, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "emulator", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "FACE_EMULATOR_WORKERS": "1", **environment},
    )


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


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - WITHOUT_PROXY))
def test_an_unmodified_client_gets_through_by_variables_alone(variables: dict[str, str], name: str) -> None:
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
def test_in_the_sealed_run_every_unmodified_client_gets_through(sealed: tuple[str, str], name: str) -> None:
    needs(name)
    assert f"{name}: done " in sealed[0]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_nothing_leaves_the_sealed_run(sealed: tuple[str, str]) -> None:
    if PROGRAMS["curl"][1]:
        assert "refused: 6" in sealed[0]  # the name does not resolve
        assert 'plain: {"error_message":"API_NOT_FOUND"}' in sealed[0]
    assert "Network is unreachable" in sealed[0]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["no-such-command"], 127),
        ([str(CLIENTS / "upload.go")], 126),
    ],
    ids=["success", "failure", "signal", "unknown", "not executable"],
)
def test_the_exit_code_is_that_of_the_command(command: Sequence[str], code: int, state: Path) -> None:
    ran = face_emulator("exec", "--", *command, XDG_STATE_HOME=str(state))
    assert ran.returncode == code, ran.stderr


def test_arguments_reach_the_command_without_a_shell(state: Path) -> None:
    words = ["$HOME", "a b", "*", "--port", "é", ""]
    print_them = "import json, sys; print(json.dumps(sys.argv[1:]))"
    ran = face_emulator("exec", "--", sys.executable, "-c", print_them, *words, XDG_STATE_HOME=str(state))
    assert json.loads(ran.stdout) == words


@pytest.mark.parametrize("command", [execute, explore])
@pytest.mark.parametrize("separator", [[], ["--"]], ids=["plain", "separated"])
def test_options_after_the_command_belong_to_it(command: click.Command, separator: list[str]) -> None:
    words = ["curl", "--port", "1", "--help", "-s", "--", "--sealed", ""]
    with command.make_context("run", [*separator, *words]) as context:
        assert context.params["command"] == tuple(words)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_standard_files_can_be_closed(state: Path, tmp_path: Path, closed: str) -> None:
    file = tmp_path / "ran"
    command = shlex.join([sys.executable, "-m", "emulator", "exec", "--", "touch", str(file)])
    environment = {**os.environ, "FACE_EMULATOR_WORKERS": "1", "XDG_STATE_HOME": str(state)}
    ran = subprocess.run(  # noqa: S602 - our own command, with a redirection of the shell
        f"{command} {closed}", shell=True, stderr=subprocess.PIPE, text=True, check=False, env=environment
    )
    assert (ran.returncode, file.exists()) == (0, True), ran.stderr


def test_a_har_file_that_cannot_be_written_stops_exec_before_the_command(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "no-folder" / "calls.har"
    ran = face_emulator("exec", "--har", str(file), "--", "echo", "ran", XDG_STATE_HOME=str(state))
    assert (ran.returncode, ran.stdout) == (125, "")
    assert f"there is no folder {tmp_path / 'no-folder'}" in ran.stderr


def test_a_failure_of_the_emulator_has_a_code_of_its_own(state: Path) -> None:
    ran = face_emulator("exec", "--scenario", "nonsense", "--", "true", XDG_STATE_HOME=str(state))
    assert (ran.returncode, ran.stdout) == (125, "")
    assert "nonsense" in ran.stderr


def test_warnings_and_failures_can_fail_a_successful_command(state: Path, tmp_path: Path) -> None:
    code = (
        "import os, urllib.request as u\n"
        "url = os.environ['FACEPLUSPLUS_URL'] + '/facepp/v1/3dface?api_key=k'\n"
        "try: u.urlopen(url, b'api_secret=s')\n"
        "except u.HTTPError: pass"
    )
    har = tmp_path / "calls.har"
    command = ["--", sys.executable, "-c", code]
    for options, expected in (
        (["--har", str(har)], 0),
        (["--fail-on", "warnings"], 1),
        (["--fail-on", "failures"], 1),
    ):
        ran = face_emulator("exec", *options, *command, XDG_STATE_HOME=str(state))
        assert ran.returncode == expected, ran.stderr
        assert "1 call, 1 failed, 1 warning" in ran.stderr
        assert "credential-in-query" in ran.stderr
    (entry,) = json.loads(har.read_text())["log"]["entries"]
    assert entry["response"]["status"] == 400


def test_signals_reach_the_command_and_nothing_is_left_behind(state: Path, tmp_path: Path) -> None:
    """The command has started a process of its own, which also ends."""
    started, ended = tmp_path / "started", tmp_path / "ended"
    script = (
        f"trap 'echo >{ended}; exit 3' TERM; sleep 1000 & echo $! >{started}.part; "
        f"mv {started}.part {started}; wait"
    )
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "emulator", "exec", "--", "sh", "-c", script],
        stderr=subprocess.PIPE,
        env={**os.environ, "FACE_EMULATOR_WORKERS": "1", "XDG_STATE_HOME": str(state)},
    )
    until = time.monotonic() + 60
    while not started.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 3
    assert ended.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_a_running_emulator_is_used_with_its_own_calls_left_out(secure: Listening, tmp_path: Path) -> None:
    url = f"{secure.base_url}/s2s/v1.0/client/credit"
    httpx.get(url, headers={"Authorization": "Bearer sk-before"})
    har = tmp_path / "calls.har"
    command = ["curl", "-s", "https://yce-api-01.makeupar.com/s2s/v1.0/client/credit"]
    ran = face_emulator(
        "exec", "--url", secure.base_url, "--har", str(har), "--fail-on", "failures", "--", *command
    )
    assert (ran.returncode, json.loads(ran.stdout)["error_code"]) == (1, "InvalidAccessToken")
    assert "1 call, 1 failed, 0 warnings" in ran.stderr
    (entry,) = json.loads(har.read_text())["log"]["entries"]
    assert entry["response"]["status"] == 401


@pytest.mark.parametrize("option", [["--keep"], ["--port", "4000"], ["--data-dir", "x"], ["--sealed"]])
def test_options_of_an_own_emulator_are_refused_for_a_running_one(option: list[str]) -> None:
    ran = face_emulator("exec", "--url", "http://127.0.0.1:9", *option, "--", "true")
    assert ran.returncode == 125
    assert f"{option[0]} is for an emulator that exec starts; omit --url" in ran.stderr


def test_a_running_emulator_that_cannot_be_reached_is_reported() -> None:
    ran = face_emulator("exec", "--url", "http://127.0.0.1:9", "--", "true")
    assert ran.returncode == 125
    assert "no emulator answers at http://127.0.0.1:9 " in ran.stderr


def test_print_env_shows_what_the_command_gets(state: Path) -> None:
    names = ["FACE_EMULATOR_URL", "PERFECTCORP_URL", "FACEPLUSPLUS_API_KEY", "HTTPS_PROXY", "SSL_CERT_FILE"]
    print_them = f"import os; [print(name + '=' + os.environ[name]) for name in {names}]"
    ran = face_emulator(
        "exec", "--print-env", "--", sys.executable, "-c", print_them, XDG_STATE_HOME=str(state)
    )
    assert set(ran.stdout.splitlines()) <= set(ran.stderr.splitlines())
    assert len(ran.stdout.splitlines()) == len(names)


def test_env_prints_variables_that_a_shell_reads(secure: Listening, variables: dict[str, str]) -> None:
    ran = face_emulator("env", "--url", secure.base_url)
    print_them = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    read = subprocess.run(  # noqa: S603 - fixed words
        ["sh", "-c", f"{ran.stdout}\n{print_them}"],  # noqa: S607 - any sh
        capture_output=True,
        text=True,
        check=True,
    )
    assert variables.items() <= json.loads(read.stdout).items()


def test_env_formats(secure: Listening, variables: dict[str, str]) -> None:
    assert json.loads(written(variables, Format.JSON)) == variables
    assert f"FACE_EMULATOR_URL={secure.base_url}\n" in written(variables, Format.GITHUB)
    assert written({"A": "it's a $1"}, Format.DOTENV) == 'A="it\'s a \\$1"\n'
    assert written({"A": "a b"}, Format.DOTENV) == "A='a b'\n"


def test_env_without_tls_has_the_urls_and_credentials_only(server: Listening) -> None:
    url = server.base_url
    found = json.loads(face_emulator("env", "--format", "json", "--url", url).stdout)
    assert "HTTPS_PROXY" not in found
    expected = {
        "FACE_EMULATOR_URL": url,
        "FACEPLUSPLUS_URL": url,
        "FACEPLUSPLUS_API_KEY": "face-emulator",
        "FACEPLUSPLUS_API_SECRET": "face-emulator",
        "METAHUMAN_URL": url,
        "METAHUMAN_TOKEN": "face-emulator",
        "PERFECTCORP_URL": url,
        "PERFECTCORP_KEY": "face-emulator",
    }
    assert expected.items() <= found.items()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_keep_serves_until_a_signal_and_returns_the_commands_code(state: Path, number: int) -> None:
    """Further signals do not disturb the stop."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator", "exec", "--keep", "--", "sh", "-c", "exit 4"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FACE_EMULATOR_WORKERS": "1", "XDG_STATE_HOME": str(state)},
    )
    assert process.stderr is not None
    line = next(line for line in process.stderr if "still running at" in line)
    url = line.partition("still running at ")[2].partition(";")[0]
    with Client(url) as client:
        assert client.ready()
    for _ in range(3):
        process.send_signal(number)
        time.sleep(0.05)
    _, messages = process.communicate(timeout=60)
    assert (process.returncode, messages) == (4, "")


def test_a_signal_before_the_command_starts_ends_the_run(state: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator", "exec", "--", "echo", "started"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FACE_EMULATOR_WORKERS": "1", "XDG_STATE_HOME": str(state)},
    )
    assert process.stderr is not None
    assert "running at" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    out, messages = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert "Traceback" not in messages


def test_settings_of_the_control_api_do_not_disturb_the_run(state: Path) -> None:
    code = "import os, urllib.request as u; u.urlopen(os.environ['FACE_EMULATOR_URL'] + '/_emulator/clock')"
    for name, value in (("FACE_EMULATOR_CONTROL", "off"), ("FACE_EMULATOR_CONTROL_PORT", "0")):
        setting: dict[str, Any] = {name: value}
        ran = face_emulator("exec", "--", sys.executable, "-c", code, XDG_STATE_HOME=str(state), **setting)
        assert ran.returncode == 0, ran.stderr


def test_a_verdict_needs_the_journal(state: Path) -> None:
    """Without it, no call could ever have a warning."""
    arguments = ["exec", "--fail-on", "warnings", "--", "true"]
    ran = face_emulator(*arguments, XDG_STATE_HOME=str(state), FACE_EMULATOR_JOURNAL_CALLS="0")
    assert ran.returncode == 125
    assert "FACE_EMULATOR_JOURNAL_CALLS is 0" in ran.stderr


def test_dropped_calls_are_reported_and_all_others_are_counted(state: Path) -> None:
    code = (
        "import os, http.client as h; c = h.HTTPConnection(os.environ['PERFECTCORP_URL'][7:])\n"
        "for _ in range(1205): c.request('GET', '/s2s/none'); c.getresponse().read()"
    )
    arguments = ["exec", "--", sys.executable, "-c", code]
    ran = face_emulator(*arguments, XDG_STATE_HOME=str(state), FACE_EMULATOR_JOURNAL_CALLS="1200")
    assert "1200 calls, 1200 failed" in ran.stderr
    assert "the journal dropped the first 5;" in ran.stderr
