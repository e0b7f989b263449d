"""Kills of the server and its workers at random moments: every acknowledged task is performed, and once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import short_work
from uploads import upload

KEY = {"Authorization": "Bearer sk-kills"}
TASK = "/s2s/v2.0/task/face-reshape"
HISTORY = "/s2s/v1.0/client/credit/history"
TASKS = 200
TIMEOUT_SECONDS = 120

SERVER = """
import asyncio, sys
from pathlib import Path
from typing import Any
import emulator.adapters
from emulator.backends.queue.protocol import Pipeline
from emulator.server import serve
from emulator.settings import Settings

if sys.argv[2] == "short":
    emulator.adapters.WARM_UP = Pipeline("short_work.start")

async def show(listening):
    print(listening.base_url, flush=True)

settings = Settings(workers=2, data_dir=Path(sys.argv[1]), vendors={"perfectcorp": {"units": 10_000}})
asyncio.run(serve(settings, ["127.0.0.1"], 0, show))
"""


@dataclass
class Victim:
    """A server with two workers that is killed and started again, always with the same data folder."""

    folder: Path
    work: str
    chance: random.Random
    process: subprocess.Popen[str] | None = None
    client: httpx.Client = field(default_factory=httpx.Client)
    store: httpx.Client = field(default_factory=httpx.Client)
    servers: int = 0

    def start(self) -> None:
        """Start the server."""
        environment = {**os.environ, short_work.NOTES: str(self.folder / "notes")}
        self.process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-c", SERVER, str(self.folder / "data"), self.work],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        self.client.close()
        self.client = httpx.Client(base_url=url, headers=KEY, timeout=TIMEOUT_SECONDS)
        self.servers += 1

    def kill_server(self, *, with_workers: bool) -> None:
        """Kill the server, and start it again."""
        self.end(with_workers=with_workers)
        self.start()

    def kill_worker(self) -> None:
        """Kill one of the workers, busy or not."""
        assert self.process is not None
        workers = [pid for server, pid, _, _ in self.notes() if server == self.process.pid]
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chance.choice(workers[-2:]), signal.SIGKILL)

    def end(self, *, with_workers: bool) -> None:
        """Kill the server."""
        if self.process is None:
            return
        if with_workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.communicate()

    def notes(self) -> list[tuple[int, int, str, str]]:
        """Return the notes of the workers."""
        path = self.folder / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        split = (line.split() for line in lines)
        return [(int(server), int(pid), event, name) for server, pid, event, name in split]

    def deadly(self) -> set[str]:
        """Return the work items during which two workers were killed, within one run of the server."""
        open_works: dict[tuple[int, int], str] = {}
        deaths: Counter[tuple[int, str]] = Counter()
        for server, pid, event, name in self.notes():
            open_works.pop((server, pid), None)
            if event == "began":
                open_works[server, pid] = name
                deaths[server, name] += 1
            elif event == "ended":
                deaths[server, name] -= 1
        return {name for (_, name), count in deaths.items() if count >= 2}


@contextlib.contextmanager
def victim(folder: Path, work: str, seed: int) -> Iterator[Victim]:
    found = Victim(folder, work, random.Random(seed))  # noqa: S311 - for a test
    try:
        found.start()
        yield found
    finally:
        found.end(with_workers=True)
        found.client.close()
        found.store.close()


def run(victim: Victim, photo: bytes, *, server_kills: int, worker_kills: int) -> None:
    chance = victim.chance
    file_id = upload(photo, victim.client.post, victim.store.put)
    # After these numbers of acknowledged tasks, something is killed.
    kills = [(chance.randrange(TASKS), "server") for _ in range(server_kills)]
    kills += [(chance.randrange(TASKS), "worker") for _ in range(worker_kills)]
    tasks: dict[str, str] = {}
    while len(tasks) < TASKS:
        for due in sorted(kill for kill in kills if kill[0] <= len(tasks)):
            kills.remove(due)
            if due[1] == "worker":
                victim.kill_worker()
            else:
                victim.kill_server(with_workers=chance.random() < 0.5)
        jaw, cheekbones = 1 + len(tasks) % 100, len(tasks) // 100
        features = {"jaw": jaw, "cheekbones": cheekbones}
        body = {"src_file_id": file_id, "version": "1.0", "features": features, "global": {}}
        created = victim.client.post(TASK, json=body)
        assert created.status_code == 200, created.text
        tasks[created.json()["data"]["task_id"]] = f"{jaw}-{cheekbones}"
    for _ in range(worker_kills // 2):
        time.sleep(chance.uniform(0, 0.3))
        victim.kill_worker()
    victim.kill_server(with_workers=False)
    answers = {task_id: wait(victim, task_id) for task_id in tasks}
    if victim.work == "short":
        deadly = victim.deadly()
        for task_id, answer in answers.items():
            if answer["task_status"] == "success":
                picture = victim.store.get(answer["results"]["url"]).content
                assert picture.decode() == tasks[task_id]
            else:
                # Its worker was killed twice, by chance.
                assert answer["error"] == "error_decode_image", answer
                assert tasks[task_id] in deadly
        assert len(deadly) < TASKS // 20
    else:
        assert Counter(answer["task_status"] for answer in answers.values())["success"] >= TASKS - 5
    succeeded = {task_id for task_id, answer in answers.items() if answer["task_status"] == "success"}
    assert charged(victim) == Counter(succeeded)


def wait(victim: Victim, task_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        data: dict[str, Any] = victim.client.get(f"{TASK}/{task_id}").json()["data"]
        if data["task_status"] != "running":
            return data
        time.sleep(0.02)
    raise AssertionError("the task did not finish")


def charged(victim: Victim) -> Counter[str]:
    """Return how often each task was charged."""
    found: Counter[str] = Counter()
    query: dict[str, Any] = {"page_size": 30}
    while True:
        result = victim.client.get(HISTORY, params=query).json()["result"]
        found.update(entry["target_id"] for entry in result["history"])
        if not result.get("next_token"):
            return found
        query["starting_token"] = result["next_token"]


def test_all_tasks_are_performed_once_whatever_is_killed(tmp_path: Path, face_jpeg: bytes) -> None:
    with victim(tmp_path, "short", 7) as found:
        run(found, face_jpeg, server_kills=3, worker_kills=10)
        assert found.servers == 5


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("work", ["short", "real"])
def test_all_tasks_are_performed_once_after_many_kills(
    tmp_path: Path, face_jpeg: bytes, work: str, seed: int
) -> None:
    with victim(tmp_path, work, seed) as found:
        run(found, face_jpeg, server_kills=10, worker_kills=30)
