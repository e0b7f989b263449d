"""Two servers and two workers on one database and one object store, as processes that are killed."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
import short_work
from object_stores import BUCKET, S3Server
from postgres import PostgresServer, kill_connections
from uploads import upload

if TYPE_CHECKING:
    from conftest import Receiver

    Eventually = Callable[[Callable[[], object]], object]

CREDENTIAL = "sk-replicas"
KEY = {"Authorization": f"Bearer {CREDENTIAL}"}
TASK = "/s2s/v2.0/task/face-reshape"
CREDIT = "/s2s/v1.0/client/credit"
CONTROL = "/_emulator"
UNITS = 10_000
TASKS = 120
TIMEOUT_SECONDS = 90

PROGRAM = """
import emulator.adapters
from emulator.backends.queue.protocol import Pipeline
from emulator.cli import main

emulator.adapters.WARM_UP = Pipeline("short_work.start")
main()
"""
"""The command line of the emulator, with work that takes milliseconds."""


@dataclass
class Process:
    """A server or worker. ``arguments`` are those of ``face-emulator``."""

    arguments: list[str]
    environment: Mapping[str, str]
    running: subprocess.Popen[str] | None = None
    url: str = ""

    def start(self) -> None:
        """Start the process. ``wait`` waits until it is ready."""
        self.running = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-c", PROGRAM, *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environment,
            text=True,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Wait until the process is ready."""
        assert self.running is not None
        assert self.running.stdout is not None
        for line in self.running.stdout:
            if "Control" in line:
                self.url = line.split()[1].removesuffix(CONTROL)
            if line.strip() == "Ready.":
                return
        raise AssertionError(f"{self.arguments} ended with status {self.running.wait()}")

    def kill(self) -> None:
        """Kill the process. Its worker processes notice this, and exit."""
        if self.running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)
            self.running.communicate()


@dataclass
class Cluster:
    """Servers and workers that share a database and an object store."""

    database: str
    servers: list[Process]
    workers: list[Process]
    client: httpx.Client
    _turns: Iterator[int] = field(default_factory=itertools.count)

    @property
    def processes(self) -> list[Process]:
        """All servers and workers."""
        return [*self.servers, *self.workers]

    def start(self) -> None:
        """Start all processes at the same time."""
        for each in self.processes:
            each.start()
        for each in self.processes:
            each.wait()

    def call(self, method: str, path: str, *, of: int | None = None, **arguments: Any) -> httpx.Response:
        """Send a request to the next server in turn, or to server number ``of``."""
        server = self.servers[(next(self._turns) if of is None else of) % len(self.servers)]
        return self.client.request(method, server.url + path, **arguments)

    def until_answered(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request to the servers in turn, like a load balancer, until one of them answers it."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = self.call(method, path, **arguments)
                if answer.status_code < 500:
                    return answer
            assert time.monotonic() < deadline, (method, path)
            time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(
    postgres_server: PostgresServer, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two servers and two workers, which have all started at once on an empty database."""
    with postgres_server.database() as database:
        environment = {
            **os.environ,
            **s3_server.variables,
            short_work.NOTES: str(tmp_path_factory.mktemp("notes") / "notes"),
            "FACE_EMULATOR_DATABASE_URL": database,
            "FACE_EMULATOR_BLOBS_URL": f"s3://{BUCKET}/replicas",
            "FACE_EMULATOR_WORKERS": "1",
            "FACE_EMULATOR_VENDORS__PERFECTCORP__UNITS": str(UNITS),
        }
        servers = [Process(["serve", "--port", "0"], environment) for _ in range(2)]
        workers = [Process(["worker"], environment) for _ in range(2)]
        with httpx.Client(timeout=TIMEOUT_SECONDS) as client:
            made = Cluster(database, servers, workers, client)
            try:
                made.start()
                yield made
            finally:
                for each in made.processes:
                    each.kill()


@pytest.fixture
def fresh(cluster: Cluster) -> Cluster:
    """The cluster after a reset."""
    assert cluster.call("POST", f"{CONTROL}/reset").status_code == 204
    return cluster


def body_of(number: int, file_id: str) -> dict[str, Any]:
    jaw, cheekbones = 1 + number % 100, number // 100
    features = {"jaw": jaw, "cheekbones": cheekbones}
    return {"src_file_id": file_id, "version": "1.0", "features": features, "global": {}}


def create(cluster: Cluster, number: int, file_id: str) -> str:
    """Create a task. Repeat the call until it is answered."""
    answer = cluster.until_answered("POST", TASK, headers=KEY, json=body_of(number, file_id))
    assert answer.status_code == 200, answer.text
    task_id: str = answer.json()["data"]["task_id"]
    return task_id


def wait(cluster: Cluster, task_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        answer = cluster.until_answered("GET", f"{TASK}/{task_id}", headers=KEY)
        data: dict[str, Any] = answer.json()["data"]
        if data["task_status"] != "running":
            return data
        time.sleep(0.02)
    raise AssertionError("the task did not finish")


def balance(cluster: Cluster) -> int:
    found = cluster.call("GET", CREDIT, headers=KEY).json()["results"]
    return sum(int(grant["amount"]) for grant in found)


def test_a_rule_fires_as_often_as_configured_across_all_servers(fresh: Cluster) -> None:
    rule = {"match": {"operation": "credit"}, "effect": {"error": "TooManyRequests"}, "count": 5}
    assert fresh.call("POST", f"{CONTROL}/faults", of=0, json=rule).status_code < 300
    statuses = [fresh.call("GET", CREDIT, headers=KEY).status_code for _ in range(12)]
    assert statuses == [429] * 5 + [200] * 7
    (listed,) = [fresh.call("GET", f"{CONTROL}/faults", of=number).json() for number in range(2)][1:]
    assert listed == []


def test_a_setting_at_one_server_applies_to_the_next_call_at_another(fresh: Cluster) -> None:
    for number in range(20):
        at = 1_000_000 + number
        own = {"credential": f"{CREDENTIAL}-{number}"}
        fresh.call("POST", f"{CONTROL}/clock/freeze", of=number, params=own, json={"at": at})
        read = fresh.call("GET", f"{CONTROL}/clock", of=number + 1, params=own).json()
        assert (read["now"], read["frozen"]) == (at, True)
        state = {**own, "state": "revoked"}
        fresh.call("PUT", f"{CONTROL}/credentials", of=number, json=state)
        key = {"Authorization": f"Bearer {own['credential']}"}
        assert fresh.call("GET", CREDIT, of=number + 1, headers=key).status_code == 401
        fresh.call("POST", f"{CONTROL}/reset", of=number, json=own)
        assert fresh.call("GET", CREDIT, of=number + 1, headers=key).status_code == 200
        assert not fresh.call("GET", f"{CONTROL}/clock", of=number + 1, params=own).json()["frozen"]


def test_there_is_one_journal(fresh: Cluster) -> None:
    for number in range(30):
        assert fresh.call("GET", CREDIT, of=number, headers=KEY).status_code == 200
        calls = fresh.call("GET", f"{CONTROL}/calls", of=number + 1).json()["calls"]
        assert len(calls) == number + 1
    numbers = [call["number"] for call in calls]
    assert numbers == sorted(set(numbers))
    expected = {"match": {"operation": "credit"}, "count": 30}
    for number in range(2):
        assert fresh.call("POST", f"{CONTROL}/calls/verify", of=number, json=expected).json()["ok"]
    assert fresh.call("POST", f"{CONTROL}/reset", of=0).status_code == 204
    assert fresh.call("GET", f"{CONTROL}/calls", of=1).json()["calls"] == []


def test_all_replicas_are_in_the_health_check(fresh: Cluster, eventually: Eventually) -> None:
    def roles(number: int) -> Counter[str]:
        replicas = fresh.call("GET", f"{CONTROL}/health", of=number).json()["replicas"]
        return Counter(each["role"] for each in replicas)

    # Replicas that another test has killed count for some more seconds.
    eventually(lambda: roles(0) == roles(1) == {"server": 2, "worker": 2})
    for number in range(2):
        metrics = fresh.call("GET", f"{CONTROL}/metrics", of=number).text.splitlines()
        assert {'face_emulator_replicas{role="server"} 2.0', "face_emulator_tasks_waiting 0.0"} <= {*metrics}


def test_every_task_is_performed_and_charged_once_whatever_is_killed(
    fresh: Cluster, receiver: Receiver, face_jpeg: bytes
) -> None:
    chance = random.Random(3)  # noqa: S311 - for a test
    endpoint = {"url": receiver.url, "vendor": "perfectcorp"}
    params = {"credential": CREDENTIAL}
    added = fresh.call("POST", f"{CONTROL}/webhooks/endpoints", params=params, json=endpoint)
    assert added.status_code < 300, added.text
    file_id = upload(face_jpeg, partial(fresh.call, "POST"), fresh.client.put, KEY)
    # After these numbers of tasks, a server, a worker, or every connection to the database is killed.
    kills = {30: fresh.servers[1], 60: fresh.workers[0], 90: None}
    tasks: dict[str, int] = {}
    for number in range(TASKS):
        if number in kills:
            victim = kills[number]
            if victim is None:
                assert kill_connections(fresh.database) > 4
            else:
                victim.kill()
                victim.start()
                victim.wait()
        tasks[create(fresh, number, file_id)] = number
        if chance.random() < 0.05:
            time.sleep(0.05)
    for task_id, number in tasks.items():
        ended = wait(fresh, task_id)
        assert ended["task_status"] == "success", ended
        link = urlsplit(ended["results"]["url"])
        picture = fresh.until_answered("GET", f"{link.path}?{link.query}", headers={"Host": link.netloc})
        assert picture.text == f"{1 + number % 100}-{number // 100}"
    # A call without a response may have created a task, which is charged, too.
    history = Counter(charged(fresh))
    assert set(history) >= set(tasks)
    assert set(history.values()) == {1}
    assert balance(fresh) == UNITS - len(history)
    for task_id in history:
        assert wait(fresh, task_id)["task_status"] == "success"
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline and len(
        {each.headers["webhook-id"] for each in receiver.received}
    ) < len(history):
        time.sleep(0.05)
    bodies: dict[str, set[bytes]] = {}
    for each in receiver.received:
        bodies.setdefault(each.headers["webhook-id"], set()).add(each.body)
    assert len(bodies) == len(history)
    assert all(len(each) == 1 for each in bodies.values())


def charged(cluster: Cluster) -> list[str]:
    """Return the tasks in the unit history, each as often as it was charged."""
    found: list[str] = []
    query: dict[str, Any] = {"page_size": 30}
    while True:
        answer = cluster.until_answered("GET", f"{CREDIT}/history", headers=KEY, params=query)
        result = answer.json()["result"]
        found += [entry["target_id"] for entry in result["history"]]
        if not result.get("next_token"):
            return found
        query["starting_token"] = result["next_token"]
