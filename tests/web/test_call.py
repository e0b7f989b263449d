"""Faults in calls and in the tasks that they create."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.client import Client

pytestmark = pytest.mark.usefixtures("no_warnings_logged")

Raw = Callable[[bytes], tuple[bytes, str]]
Upload = Callable[..., bytes]


CREDIT = "/s2s/v1.0/client/credit"


TASK = "/s2s/v2.0/task/face-reshape"


NEW_TASK = {
    "src_file_url": "http://127.0.0.1:9/a.jpg",
    "version": "1.0",
    "features": {"jaw": 9},
    "global": {},
}


def bearer(me: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {me.credential}"}


@pytest.fixture
def ordinary(server: Listening, me: Client) -> bytes:
    """The body of the response without a fault."""
    return httpx.get(server.base_url + CREDIT, headers=bearer(me)).content


def test_latency_delays_a_response_and_does_not_change_it(
    server: Listening, me: Client, ordinary: bytes
) -> None:
    me.add_fault({"latency": 0.2}, count=1)
    began = time.monotonic()
    slow = httpx.get(server.base_url + CREDIT, headers=bearer(me))
    assert time.monotonic() - began >= 0.2
    assert slow.content == ordinary
    with me.fault({"latency": 1}), pytest.raises(httpx.ReadTimeout):
        httpx.get(server.base_url + CREDIT, headers=bearer(me), timeout=0.1)


@pytest.mark.parametrize("effect", [{"latency": 600}, {"drip": {"chunk_bytes": 1, "pause_s": 600}}])
def test_a_delayed_response_is_sent_when_the_server_stops(
    workers: WorkerPool, effect: dict[str, Any]
) -> None:
    headers = {"Authorization": "Bearer sk-a"}
    with ThreadPoolExecutor(1) as pool:
        with running_server(workers=workers) as server, Client(server.base_url) as control:
            control.add_fault(effect, operation="credit")
            answer = pool.submit(httpx.get, f"{server.base_url}{CREDIT}", headers=headers, timeout=60)
            while not control.faults()[0].fired:
                time.sleep(0.01)
        assert answer.result(timeout=30).json()["results"][0]["amount"] == 1000


def test_latency_and_an_error_can_be_combined(server: Listening, me: Client) -> None:
    me.add_fault({"latency": 0.1, "error": "TooManyRequests"})
    began = time.monotonic()
    answer = httpx.get(server.base_url + CREDIT, headers=bearer(me))
    assert time.monotonic() - began >= 0.1
    assert (answer.status_code, answer.json()) == (429, {"status": 429, "error": "Too many requests"})


def test_a_rule_for_an_operation_ignores_requests_with_a_wrong_method(server: Listening, me: Client) -> None:
    def create(method: str) -> httpx.Response:
        return httpx.request(method, server.base_url + TASK, headers=bearer(me), json=NEW_TASK)

    me.add_fault("CreditInsufficiency", operation="create_reshape", nth=1, count=1)
    wrong = create("PUT")
    assert (wrong.status_code, wrong.headers["allow"], "x-emulator-fault" in wrong.headers) == (
        405,
        "POST",
        False,
    )
    assert [(rule.matched, rule.fired) for rule in me.faults()] == [(0, 0)]
    assert create("POST").json()["error_code"] == "CreditInsufficiency"
    # A rule for all calls applies to this one too.
    me.add_fault("unavailable", count=1)
    assert create("PUT").status_code == 503
    assert [call.operation for call in me.calls()] == [None, "create_reshape", None]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "nothing", ""), ("GET", "v1/3dface", "POST"), ("POST", "v1/3dface", "POST")],
)
def test_an_injected_405_lists_the_methods_of_the_path(
    server: Listening, method: str, path: str, allowed: str
) -> None:
    url, headers = f"{server.base_url}/facepp/{path}", {"X-Emulator-Fault": "METHOD_NOT_ALLOWED"}
    answer = httpx.request(method, url, headers=headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["x-emulator-fault"] == "header"


def test_a_stuck_task_runs_until_the_tester_finishes_it(server: Listening, me: Client) -> None:
    me.add_fault("stuck-task", count=1)
    stuck, other = (
        httpx.post(server.base_url + TASK, json=NEW_TASK, headers=bearer(me)).json()["data"]["task_id"]
        for _ in range(2)
    )

    def status(task_id: str) -> str:
        answer = httpx.get(f"{server.base_url}{TASK}/{task_id}", headers=bearer(me))
        return str(answer.json()["data"]["task_status"])

    deadline = time.monotonic() + 60
    while {task.id: task.state for task in me.tasks()}[stuck] != "held" or status(other) == "running":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert status(stuck) == "running"
    me.finish_task(stuck)
    assert (status(stuck), status(other)) == ("error", "error")


def test_every_second_of_many_concurrent_calls_gets_the_fault(server: Listening, me: Client) -> None:
    me.add_fault("TooManyRequests", every=2)

    def status(_: int) -> int:
        return httpx.get(server.base_url + CREDIT, headers=bearer(me)).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(status, range(40)))
    assert (statuses.count(200), statuses.count(429)) == (20, 20)


def test_in_band_faults_can_be_switched_off(workers: WorkerPool) -> None:
    with TestClient(create_app(Settings(in_band_faults=False), workers=workers)) as client:
        for name in ("InvalidApiKey", "nonsense"):
            headers = {"Authorization": f"Bearer fault-{name}", "X-Emulator-Fault": name}
            assert client.get("/s2s/v2.0/credit/feature-cost", headers=headers).status_code == 200
        assert {error["in_band"] for error in client.get("/_emulator/errors").json()} == {None}
