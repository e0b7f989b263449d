"""``face-emulator worker``, as a process beside a server."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from click.testing import CliRunner
from conftest import Receiver
from pydantic import SecretStr
from uploads import upload

from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import Pipeline
from emulator.cli import app
from emulator.server import running_server
from emulator.settings import Settings
from face_api_emulator.client import Client

KEY = "sk-worker"
TASK = "/s2s/v2.0/task/face-reshape"
DO_NOTHING: Pipeline[[], None] = Pipeline("os.getpid")
SLEEP: Pipeline[[float], None] = Pipeline("time.sleep")
TIMEOUT_SECONDS = 60


@contextlib.contextmanager
def worker(database: str, blobs: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker, and wait until it is ready."""
    environment = {
        **os.environ,
        "FACE_EMULATOR_DATABASE_URL": database,
        "FACE_EMULATOR_BLOBS_URL": blobs,
        "FACE_EMULATOR_WORKERS": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "emulator", "worker"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "Ready.\n"
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def check(database: str | None) -> tuple[int, str]:
    """Return the exit code and the output of ``face-emulator worker --check``."""
    done = CliRunner().invoke(
        app, ["worker", "--check", "--json"], env={"FACE_EMULATOR_DATABASE_URL": database}
    )
    return done.exit_code, done.output


def test_a_worker_performs_the_tasks_of_a_busy_server_and_sends_their_webhooks(
    postgres_url: str, tmp_path: Path, face_jpeg: bytes, receiver: Receiver
) -> None:
    blobs = f"file://{tmp_path}/blobs"
    assert check(postgres_url)[0] == 1
    settings = Settings(database_url=SecretStr(postgres_url), blobs_url=blobs)
    with (
        contextlib.closing(WorkerPool(1, DO_NOTHING)) as pool,
        worker(postgres_url, blobs) as process,
        running_server(settings, workers=pool) as server,
    ):
        assert check(postgres_url) == (0, '{\n "alive": true\n}\n')
        # The server's only worker has more to do than this test takes.
        for _ in range(2):
            pool.submit(SLEEP, 1000.0)
        with Client(server.base_url, KEY) as control:
            control.add_endpoint(receiver.url)
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=server.base_url, headers=headers, timeout=TIMEOUT_SECONDS) as client:
            body = {
                "src_file_id": upload(face_jpeg, client.post, httpx.put),
                "version": "1.0",
                "features": {"jaw": 10},
                "global": {},
            }
            task_id = client.post(TASK, json=body).json()["data"]["task_id"]
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while (status := client.get(f"{TASK}/{task_id}").json()["data"]["task_status"]) == "running":
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert status == "success"
        (webhook,) = receiver.wait(1)
        assert task_id.encode() in webhook.body
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0
        none = "face-emulator: no worker of this machine is connected to the database\n"
        assert check(postgres_url) == (1, f'{{\n "alive": false\n}}\n{none}')


def test_a_worker_without_a_database_is_refused() -> None:
    code, said = check(None)
    assert code == 1
    assert said.startswith("face-emulator: worker requires FACE_EMULATOR_DATABASE_URL")
    assert said.count("\n") == 1
