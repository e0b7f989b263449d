from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from emulator import explore
from emulator.world.plans.plan import Plan, Step, When

TASK = "/s2s/v2.0/task/face-reshape"
BODY = {"src_file_url": "http://127.0.0.1:9/a.jpg", "version": "1.0", "features": {"jaw": 1}, "global": {}}
PLAN = "/_emulator/webhooks/plan"
ENDPOINTS = "/_emulator/webhooks/endpoints"


class Consumer:
    """A client that records the steps that it sees, in order."""

    def __init__(self, client: httpx.Client, receiver: Any, key: str) -> None:
        self.client = client
        self.receiver = receiver
        self.mine = {"credential": key}
        # The fault makes every task fail at once, so that no worker has to compute anything.
        self.headers = {"Authorization": f"Bearer {key}", "X-Emulator-Fault": "error_no_face"}
        self.seen: list[Step] = []
        self.task_id = ""

    def listen(self) -> None:
        answer = self.client.post(ENDPOINTS, params=self.mine, json={"url": self.receiver.url})
        assert answer.status_code == 201

    def plan(self, **plan: object) -> None:
        assert self.client.put(PLAN, params=self.mine, json=plan).status_code == 200

    def create(self) -> None:
        answer = self.client.post(TASK, json=BODY, headers=self.headers)
        self.note(Step.CREATED)
        self.task_id = answer.json()["data"]["task_id"]

    def poll(self) -> bool:
        answer = self.client.get(f"{TASK}/{self.task_id}", headers=self.headers)
        is_over: bool = answer.json()["data"]["task_status"] != "running"
        self.note(Step.POLL_END if is_over else Step.POLL_RUNNING)
        return is_over

    def note(self, *steps: Step) -> None:
        """Record the webhooks received since the last step, and then ``steps``."""
        came = len(self.receiver.received) - self.seen.count(Step.WEBHOOK_TAKEN)
        self.seen += [Step.WEBHOOK_TAKEN] * came + list(steps)

    def steps(self) -> list[Step]:
        (task,) = self.client.get(PLAN, params=self.mine).json()["tasks"]
        assert task["task"] == self.task_id
        return [Step(step) for step in task["steps"]]


@pytest.fixture
def consumer(
    client: httpx.Client, receiver: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Consumer]:
    """A client with a registered webhook receiver."""
    # A busy machine may need longer than the default for an endpoint's response.
    monkeypatch.setattr("emulator.world.plans.plans.ENDPOINT_TIMEOUT_SECONDS", 60.0)
    consumer = Consumer(client, receiver, f"sk-{request.node.name}")
    consumer.listen()
    yield consumer
    client.delete(PLAN, params=consumer.mine)


@pytest.mark.parametrize("plan", explore.plans(2), ids=str)
def test_a_client_sees_the_order_of_the_plan(
    consumer: Consumer, plan: explore.Plan, eventually: Callable[..., Any]
) -> None:
    consumer.plan(polls=plan.running_polls, webhooks=plan.webhooks, pause_s=0.3)
    consumer.create()
    while not consumer.poll():
        pass
    consumer.receiver.wait(len(plan.webhooks))
    consumer.note()
    assert tuple(consumer.seen) == plan.steps
    eventually(lambda: tuple(consumer.steps()) == plan.steps)
    ids = {received.headers["webhook-id"] for received in consumer.receiver.received}
    assert len(ids) == (1 if plan.webhooks else 0)


def test_a_client_that_does_not_poll_still_gets_its_webhooks(
    consumer: Consumer, eventually: Callable[..., Any]
) -> None:
    consumer.plan(polls=1, webhooks=[When.BEFORE_END, When.AFTER_END], pause_s=0.0, patience_s=0.05)
    consumer.create()
    consumer.receiver.wait(2)
    eventually(lambda: consumer.steps() == [Step.CREATED, Step.WEBHOOK_TAKEN, Step.WEBHOOK_TAKEN])


def test_a_poll_waits_only_briefly_for_an_endpoint_that_has_not_answered(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.world.plans.plans.ENDPOINT_TIMEOUT_SECONDS", 0.1)
    consumer.receiver.may_answer.clear()
    consumer.plan(polls=0, webhooks=[When.BEFORE_END])
    consumer.create()
    consumer.receiver.wait(1)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(consumer.poll).result(timeout=10) is True
    assert consumer.steps() == [Step.CREATED, Step.WEBHOOK_SENT, Step.POLL_END]


def test_a_refused_webhook_waits_for_its_scheduled_retry(consumer: Consumer) -> None:
    consumer.receiver.answers.append((503, {}))
    consumer.plan(polls=0, webhooks=[When.BEFORE_END])
    consumer.create()
    assert consumer.poll()
    assert consumer.steps() == [Step.CREATED, Step.WEBHOOK_REFUSED, Step.POLL_END]
    (delivery,) = consumer.client.get("/_emulator/webhooks/deliveries", params=consumer.mine).json()
    assert (delivery["state"], [made["status"] for made in delivery["attempts"]]) == ("waiting", [503])


def test_a_plan_without_an_order_only_records_steps(consumer: Consumer) -> None:
    consumer.plan()
    consumer.create()
    consumer.receiver.wait(1)
    assert consumer.poll()
    assert consumer.steps() == [Step.CREATED, Step.POLL_END]


def test_a_plan_belongs_to_one_credential_and_can_be_removed(
    consumer: Consumer, client: httpx.Client
) -> None:
    consumer.plan(polls=1, webhooks=[])
    other = {"credential": "sk-without-a-plan"}
    assert client.get(PLAN, params=other).status_code == 404
    assert client.delete(PLAN, params=other).status_code == 404
    told = client.get(PLAN, params=consumer.mine).json()
    assert told == {"plan": Plan(polls=1, webhooks=()).model_dump(mode="json"), "tasks": []}
    assert client.delete(PLAN, params=consumer.mine).status_code == 204
    consumer.create()
    consumer.receiver.wait(1)
    assert consumer.poll()


def test_a_plan_overrides_the_progression_without_changing_it(
    consumer: Consumer, client: httpx.Client
) -> None:
    progression = {"mode": "after_polls", "polls": 1}
    client.put("/_emulator/progression", params=consumer.mine, json=progression)
    consumer.plan(polls=3, webhooks=[], patience_s=30)
    consumer.create()
    assert [consumer.poll() for _ in range(2)] == [False, False]
    assert client.delete(PLAN, params=consumer.mine).status_code == 204
    told = client.get("/_emulator/progression", params=consumer.mine).json()
    assert {name: told[name] for name in progression} == progression
    # The task ends by its progression now, and sends its webhook.
    assert consumer.poll()
    consumer.receiver.wait(1)


def deliveries(consumer: Consumer) -> list[Any]:
    found: list[Any] = consumer.client.get("/_emulator/webhooks/deliveries", params=consumer.mine).json()
    return found


@pytest.mark.parametrize("way", ["taken back", "replaced"])
def test_held_webhooks_are_sent_when_their_plan_is_removed_or_replaced(consumer: Consumer, way: str) -> None:
    consumer.plan(polls=0, webhooks=[When.AFTER_END], pause_s=600)
    consumer.create()
    consumer.client.get(f"{TASK}/{consumer.task_id}", headers=consumer.headers)
    assert [delivery["state"] for delivery in deliveries(consumer)] == ["held"]
    if way == "replaced":
        consumer.plan(polls=0, webhooks=[])
    else:
        assert consumer.client.delete(PLAN, params=consumer.mine).status_code == 204
    assert len(consumer.receiver.wait(1)) == 1


def test_webhooks_lost_by_a_plan_stay_lost_after_the_plan_is_removed(consumer: Consumer) -> None:
    consumer.plan(polls=0, webhooks=[])
    consumer.create()
    assert consumer.poll()
    (lost,) = deliveries(consumer)
    assert (lost["state"], lost["fault"]) == ("lost", {"lost": True, "source": "the plan"})
    assert consumer.client.delete(PLAN, params=consumer.mine).status_code == 204
    assert deliveries(consumer) == [lost]


def test_removing_a_plan_releases_the_calls_that_wait_for_it(consumer: Consumer) -> None:
    consumer.receiver.may_answer.clear()
    consumer.plan(polls=0, webhooks=[When.BEFORE_CREATION])
    creating = threading.Thread(target=consumer.create)
    creating.start()
    consumer.receiver.wait(1)
    assert consumer.client.delete(PLAN, params=consumer.mine).status_code == 204
    creating.join(timeout=10)
    assert not creating.is_alive()


@pytest.mark.parametrize(
    "plan",
    [
        {"polls": 1},
        {"webhooks": []},
        {"polls": 1, "webhooks": ["before_creation"]},
        {"polls": -1, "webhooks": []},
        {"polls": 0, "webhooks": ["never"]},
    ],
)
def test_an_invalid_plan_is_refused(client: httpx.Client, plan: dict[str, object]) -> None:
    assert client.put(PLAN, params={"credential": "sk-no-plan"}, json=plan).status_code == 422
    assert client.put(PLAN, json={}).status_code == 422
