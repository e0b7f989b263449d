from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.control.init import InitFailed, Scripts
from emulator.server import running_server
from emulator.settings import Settings
from face_api_emulator.client import Client

CALL = """\
import json, os, sys, urllib.request
url = os.environ["FACE_EMULATOR_URL"] + "/_emulator/"
request = urllib.request.Request(url + sys.argv[0].rpartition("-")[2].removesuffix(".py"), method="PUT",
    data=json.dumps({"credential": "from-a-script", "state": "revoked"}).encode(),
    headers={"Content-Type": "application/json"})
urllib.request.urlopen(request)
"""


def test_hooks_run_in_the_order_of_their_names(workers: WorkerPool, tmp_path: Path) -> None:
    log = tmp_path / "log"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "20-second.sh").write_text(f"echo second >>'{log}'\n")
    (hooks / "10-first.py").write_text(f"open({str(log)!r}, 'a').write('first\\n')\n")
    (hooks / "30-credentials.py").write_text(CALL)
    (hooks / "40-busy.toml").write_text("[[rules]]\nmatch = { credential = 'x' }\neffect = 'unavailable'\n")
    (hooks / "50-poll.yaml").write_text("progression: {mode: manual}\n")
    (hooks / "README.md").write_text("not a hook")
    with (
        running_server(Settings(init_dir=hooks), workers=workers) as server,
        Client(server.base_url) as client,
    ):
        assert log.read_text() == "first\nsecond\n"
        assert client.wait_until_ready().hooks_run
        assert [rule.rule["scenario"] for rule in client.faults()] == ["40-busy"]
        listed = httpx.get(f"{server.base_url}/_emulator/credentials").json()
        assert listed == [{"credential": "from-a-script", "state": "revoked"}]
        assert httpx.get(f"{server.base_url}/_emulator/progression").json()["mode"] == "manual"


def test_the_emulator_is_not_ready_before_the_hooks_have_run(workers: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "wait.py").write_text(
        "import os, pathlib, urllib.error, urllib.request\n"
        "try:\n"
        "    urllib.request.urlopen(os.environ['FACE_EMULATOR_URL'] + '/_emulator/ready')\n"
        "except urllib.error.HTTPError as error:\n"
        f"    seen = pathlib.Path({str(tmp_path / 'seen')!r})\n"
        "    seen.write_text(f'{error.code} {error.read().decode()}')\n"
    )
    with running_server(Settings(init_dir=tmp_path), workers=workers):
        pass
    status, _, body = (tmp_path / "seen").read_text().partition(" ")
    assert (status, '"hooks_run":false' in body) == ("503", True)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("bad.sh", "echo it went wrong >&2; exit 3", "exit status 3: it went wrong"),
        ("bad.py", "raise SystemExit('no')", "exit status 1: no"),
        (
            "bad.toml",
            "[[rules]]\neffect = 'no-such-thing'",
            "there is no error or effect named no-such-thing",
        ),
        ("bad.yaml", "rules: [", "cannot be read"),
    ],
)
def test_the_first_hook_that_fails_stops_the_emulator(
    workers: WorkerPool, tmp_path: Path, name: str, text: str, reason: str
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "zzz.sh").write_text(f"touch '{tmp_path / 'ran'}'\n")
    before = servers()
    with (
        pytest.raises(InitFailed, match=reason),
        running_server(Settings(init_dir=tmp_path), workers=workers),
    ):
        pytest.fail("it must not start")
    assert not (tmp_path / "ran").exists()
    assert servers() == before


def servers() -> int:
    """Return how many emulators run in this process."""
    return sum(thread.name == "face-emulator" for thread in threading.enumerate())


def test_serve_names_the_hook_that_failed(tmp_path: Path) -> None:
    (tmp_path / "bad.sh").write_text("exit 1")
    # The path has only a shell, as in a slim image, because stopping the workers must need no other program.
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")
    done = subprocess.run(
        [sys.executable, "-m", "emulator", "serve", "--port", "0"],
        env={"FACE_EMULATOR_INIT_DIR": str(tmp_path), "FACE_EMULATOR_WORKERS": "1", "PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    hook = tmp_path / "bad.sh"
    assert (
        f"face-emulator: the init hook {hook} failed; correct it and start again: exit status 1"
        in done.stderr
    )
    assert "Traceback" not in done.stderr


class Lifeline:
    """A named pipe that shows whether a process still holds it open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def wait(self) -> bytes:
        """Return the next bytes, or none once no process holds the pipe."""
        assert select.select([self._end], [], [], 30)[0], "nothing was written"
        return os.read(self._end, 100)

    @property
    def is_held(self) -> bool:
        """Whether a process holds the pipe; discards bytes that were written."""
        try:
            return bool(os.read(self._end, 100))
        except BlockingIOError:
            return True

    def close(self) -> None:
        """Close the reading end."""
        os.close(self._end)


@pytest.fixture
def lifeline(tmp_path: Path) -> Iterator[Lifeline]:
    held = Lifeline(tmp_path / "lifeline")
    yield held
    held.close()


def test_a_background_process_of_a_hook_does_not_delay_the_start_and_ends_with_the_server(
    workers: WorkerPool, tmp_path: Path, lifeline: Lifeline
) -> None:
    (tmp_path / "receiver.sh").write_text(
        f"(echo began >&3; sleep 600; echo ended >&3) 3>'{lifeline.path}' &\necho said\n"
    )
    with (
        running_server(Settings(init_dir=tmp_path), workers=workers) as server,
        Client(server.base_url) as client,
    ):
        assert client.wait_until_ready().hooks_run
        assert lifeline.wait() == b"began\n"
        assert lifeline.is_held
    assert lifeline.wait() == b""


def test_a_background_process_of_a_failed_hook_is_ended(
    workers: WorkerPool, tmp_path: Path, lifeline: Lifeline
) -> None:
    (tmp_path / "bad.sh").write_text(
        f"exec 3>'{lifeline.path}'\nsleep 600 &\necho began >&3\necho it went wrong\nexit 3\n"
    )
    with (
        pytest.raises(InitFailed, match="exit status 3: it went wrong"),
        running_server(Settings(init_dir=tmp_path), workers=workers),
    ):
        pytest.fail("it must not start")
    assert lifeline.wait() == b"began\n"
    assert lifeline.wait() == b""


def test_a_signal_ends_a_running_hook_and_its_child_processes(tmp_path: Path, lifeline: Lifeline) -> None:
    (tmp_path / "long.sh").write_text(f"exec 3>'{lifeline.path}'\necho began >&3\nsleep 600\n")
    with subprocess.Popen(
        [sys.executable, "-m", "emulator", "serve", "--port", "0"],
        env={"FACE_EMULATOR_INIT_DIR": str(tmp_path), "FACE_EMULATOR_WORKERS": "1", "PATH": "/usr/bin:/bin"},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as server:
        assert lifeline.wait() == b"began\n"
        assert lifeline.is_held
        server.terminate()
        assert lifeline.wait() == b""
        server.wait(30)


def test_a_failed_hook_is_reported_with_the_end_of_its_output(workers: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("print('x' * 10_000_000)\nprint('the reason')\nraise SystemExit(1)\n")
    with (
        pytest.raises(InitFailed) as caught,
        running_server(Settings(init_dir=tmp_path), workers=workers),
    ):
        pytest.fail("it must not start")
    assert caught.value.reason.endswith("x\nthe reason")
    assert len(caught.value.reason) < 3000


def test_a_missing_init_folder_is_reported(workers: WorkerPool, tmp_path: Path) -> None:
    with (
        pytest.raises(InitFailed, match="No such file"),
        running_server(Settings(init_dir=tmp_path / "nowhere"), workers=workers),
    ):
        pytest.fail("it must not start")


def test_a_script_that_is_cancelled_at_its_start_is_ended_with_its_child_processes(
    tmp_path: Path, lifeline: Lifeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "long.sh"
    script.write_text(f"exec 3>'{lifeline.path}'\necho began >&3\nsleep 600\n")
    create = asyncio.create_subprocess_exec

    async def scenario() -> None:
        runs = asyncio.Event()

        async def create_slowly(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
            process = await create(*arguments, **options)
            assert await asyncio.to_thread(lifeline.wait) == b"began\n"
            runs.set()
            await asyncio.sleep(0.05)
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", create_slowly)
        running = asyncio.create_task(Scripts().run(script, "http://127.0.0.1:9"))
        await runs.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scenario())
    assert lifeline.wait() == b""
