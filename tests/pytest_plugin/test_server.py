"""The emulator of a run: started, shared, given, or missing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pytester_runs import CREDIT, PAYING, run

from emulator.server import Listening
from face_api_emulator.pytest_plugin import TITLE

pytest_plugins = ["pytester"]


def listens(url: str) -> bool:
    """Return whether a server listens at a URL. pytester reloads httpx, which then loses its own errors."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80)).close()
    except OSError:
        return False
    return True


RECEIVES = """
def test_receives(face_emulator_webhooks, face_emulator_clock, face_emulator_faults):
    pass
"""


def test_a_run_with_warnings_as_errors_passes_and_says_what_it_would_have_cost(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_paying=PAYING,
        test_calls=CREDIT
        + RECEIVES
        + """
@pytest.mark.parametrize("number", range(6))
def test_calls(face_emulator, number):
    assert credit(face_emulator) == 200
""",
    )
    result = pytester.runpytest_subprocess("-W", "error")
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines([f"*{TITLE}*", "faceplusplus 3dface: 1 call, no price is set"])


@pytest.mark.parametrize("distribution", ["each", "load"])
def test_workers_of_xdist_share_one_emulator_that_stops_with_the_run(
    pytester: pytest.Pytester, distribution: str
) -> None:
    pytester.makepyfile(
        CREDIT
        + RECEIVES
        + """
@pytest.mark.parametrize("number", range(6))
def test_calls(face_emulator, number, worker_id):
    assert credit(face_emulator) == 200
    assert len(face_emulator.calls()) == 1
    with open("seen", "a") as seen:
        seen.write(f"{face_emulator.base_url} {worker_id}\\n")
"""
    )
    result = pytester.runpytest_subprocess("-W", "error", "-n", "2", "--dist", distribution)
    result.assert_outcomes(passed=14 if distribution == "each" else 7)
    seen = {tuple(line.split()) for line in (pytester.path / "seen").read_text().splitlines()}
    if distribution == "each":
        assert {worker for _, worker in seen} == {"gw0", "gw1"}
    (url,) = {url for url, _ in seen}
    assert not listens(url)


def test_a_run_without_an_emulator_makes_no_folder(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    pytester.makepyfile(
        """
        import glob, tempfile

        def test_looks():
            assert glob.glob(tempfile.gettempdir() + "/face-emulator-*") == []
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_emulator_stops_if_the_run_is_killed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib, time

        def test_hangs(face_emulator_server):
            pathlib.Path("url").write_text(face_emulator_server.base_url)
            time.sleep(600)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=pytester.path,
        stdout=subprocess.DEVNULL,
    )
    file = pytester.path / "url"
    deadline = time.monotonic() + 120
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while listens(file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_unreachable_emulator_is_reported_with_the_remedy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_looks(face_emulator_server): pass")
    result = pytester.runpytest_subprocess("--face-emulator-url=http://127.0.0.1:1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["no emulator answers at http://127.0.0.1:1 (*); run *, or omit --face-emulator-url"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_costs_that_cannot_be_kept_are_reported_without_a_traceback(
    pytester: pytest.Pytester, server: Listening
) -> None:
    pytester.makepyfile("def test_looks(face_emulator_server): pass")
    pytester.makeconftest(
        """
        from face_api_emulator.pytest_plugin.server import CannotStart, SharedServer

        def keep_costs(*_):
            raise CannotStart("another process holds the lock")

        SharedServer.keep_costs = keep_costs
        """
    )
    result = run(pytester, server)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["another process holds the lock"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*CannotStart*")


def test_a_start_that_fails_is_reported_with_the_command_and_its_output(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_looks(face_emulator_server): pass")
    pytester.makeini("[pytest]\nface_emulator_start = sh -c 'echo no space left for {port}; exit 3'")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.re_match_lines([r"the emulator ended: sh -c 'echo no space .*", r"no space left for \d+"])
    pytester.makeini("[pytest]\nface_emulator_start = there-is-no-such-command {port}")
    result = pytester.runpytest_subprocess()
    result.stdout.fnmatch_lines(["cannot run there-is-no-such-command: No such file or directory"])


def test_an_emulator_is_started_by_the_users_command(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CREDIT + "def test_calls(face_emulator): assert credit(face_emulator) == 200")
    pytester.makeini(f"[pytest]\nface_emulator_start = {sys.executable} -m emulator serve --port {{port}}")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_without_the_server_the_remedy_is_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_looks(face_emulator_server): pass")
    pytester.makeconftest("from face_api_emulator import installed\ninstalled.has_server = lambda: False\n")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*install `face-api-emulator[[]server]` (Python 3.11 or 3.12), or set *"])


def test_a_run_that_uses_no_emulator_imports_nothing_for_it(pytester: pytest.Pytester) -> None:
    heavy = [
        "fastapi", "uvicorn", "httpx", "numpy", "cv2", "pydantic", "urllib3", "cattrs", "click", "ssl",
        "emulator.app", "face_api_emulator.client", "face_api_emulator.testing",
    ]  # fmt: skip
    pytester.makepyfile(
        f"""
        import sys

        def test_is_light():
            assert "face_api_emulator.pytest_plugin" in sys.modules
            assert [name for name in {heavy!r} if name in sys.modules] == []
        """
    )
    # In an interpreter of its own, without the plugins that this environment happens to have.
    result = pytester.run(
        sys.executable, "-c",
        "import os; os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'\n"
        "import pytest; raise SystemExit(pytest.main(['-p', 'face_api_emulator.pytest_plugin']))",
    )  # fmt: skip
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line(f"*{TITLE}*")


def test_docker_starts_the_image_with_the_same_ports_inside(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = pytester.path / "docker"
    docker.write_text('#!/bin/sh\necho "docker $@"\nexit 1\n')
    docker.chmod(0o755)
    pytester.makeini("[pytest]\nface_emulator_start = docker\nface_emulator_image = registry.test/image:1")
    pytester.makepyfile("def test_looks(face_emulator_server): pass")
    monkeypatch.setenv("PATH", str(pytester.path), prepend=os.pathsep)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    found = re.search(r"^docker (run .*)$", result.stdout.str(), re.MULTILINE)
    assert found is not None
    words = found[1].split()
    ports = [words[index + 1] for index, word in enumerate(words) if word == "--publish"]
    image = words.index("registry.test/image:1")
    port, tls_port = words[image + 6], words[image + 7].removeprefix("--tls=")
    assert ports == [f"127.0.0.1:{port}:{port}", f"127.0.0.1:{tls_port}:{tls_port}"]


def test_an_interrupted_start_leaves_no_process(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_waits(face_emulator_server): pass")
    pytester.makeini("[pytest]\nface_emulator_start = sh -c 'echo $$ > started; sleep 600; echo {port}'")
    # A shell that starts these tests in the background lets its children ignore SIGINT.
    code = (
        "import pytest, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "pytest.main(['-p', 'no:cacheprovider'])"
    )
    process = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        cwd=pytester.path,
        stdout=subprocess.DEVNULL,
    )
    file, deadline = pytester.path / "started", time.monotonic() + 60
    while not (file.exists() and file.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert not Path(f"/proc/{file.read_text().strip()}").exists()


def test_settings_of_the_user_do_not_reach_the_emulator_of_the_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACE_EMULATOR_CONTROL", "off")
    monkeypatch.setenv("FACE_EMULATOR_CONTROL_PORT", "1")
    monkeypatch.setenv("FACE_EMULATOR_DATA_DIR", str(tmp_path / "mine"))
    # The folder of the tests has a module with the name of one that the emulator imports.
    pytester.makepyfile(yaml="raise RuntimeError('this is not the one')")
    (pytester.path / "emulator").mkdir()
    (pytester.path / "emulator" / "__init__.py").write_text("raise RuntimeError('this is the project's own')")
    pytester.makepyfile(CREDIT + "def test_calls(face_emulator): assert credit(face_emulator) == 200")
    # pytester would put that folder into PYTHONPATH.
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in ran.stdout, ran.stdout
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("command", ["run ${{HOME}}", "run ${HOME}", "run 'it", "run {0}"])
def test_a_start_command_that_cannot_be_read_is_reported(pytester: pytest.Pytester, command: str) -> None:
    pytester.makepyfile("def test_looks(face_emulator_server): pass")
    pytester.makeini(f"[pytest]\nface_emulator_start = {command}")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.re_match_lines(["face_emulator_start is invalid: run .*|cannot run run: .*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_failures_and_later_tests_are_reported_even_if_the_emulator_has_stopped(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        def test_1_stops(face_emulator, request):
            from face_api_emulator.pytest_plugin import _SHARED
            request.config.stash[_SHARED].stop()
            assert 1 == 2

        def test_2(face_emulator): pass
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.re_match_lines(["no emulator answers at .*", "Face.*/facepp", "Ready."])
    result.stdout.fnmatch_lines(["*assert 1 == 2"])
    result.stdout.no_fnmatch_line("*Traceback*")
