"""The webhooks of Perfect Corp."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from emulator.tasks.task import Task, TaskState
from emulator.vendors.perfectcorp.settings import STANDARD_GAPS_S, PerfectCorpSettings
from emulator.vendors.perfectcorp.webhooks import compose, decode_secret, new_secret, sign_message
from emulator.webhooks import lane
from emulator.webhooks.delivery import Message
from emulator.webhooks.endpoints import WrongSecret
from emulator.world.faults.rules import FaultRule, Match

SECRET = "whsec_NDQzMzYxNzkzMzE0NjYyNDM6OTIxOTcwNDIxODQ"  # noqa: S105 - the sample of the vendor's page
TASK = "/s2s/v2.0/task/face-reshape"
BODY = {"src_file_url": "http://127.0.0.1:9/a.jpg", "version": "1.0", "features": {"jaw": 1}, "global": {}}
FAILS = {"X-Emulator-Fault": "error_no_face"}
KEY = "sk-test"


def listen(emulator: Any, url: str, **more: Any) -> dict[str, Any]:
    """Add an endpoint."""
    mine, new = {"credential": KEY}, {"url": url, "vendor": "perfectcorp", **more}
    answer = emulator.client.post("/_emulator/webhooks/endpoints", params=mine, json=new)
    assert answer.status_code == 201, answer.text
    endpoint: dict[str, Any] = answer.json()
    return endpoint


def fail(emulator: Any, path: str = TASK, **headers: str) -> str:
    """Create a task that fails at once, which needs no computation, and return its id."""
    answer = emulator.client.post(path, json=BODY, headers={**FAILS, **headers})
    task_id: str = answer.json()["data"]["task_id"]
    return task_id


def deliveries(emulator: Any, **query: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = emulator.client.get(
        "/_emulator/webhooks/deliveries", params={"credential": KEY, **query}
    ).json()
    return listed


def attempts(emulator: Any, **query: str) -> list[dict[str, Any]]:
    return [attempt for delivery in deliveries(emulator, **query) for attempt in delivery["attempts"]]


def test_the_receivers_library_accepts_a_webhook(emulate: Callable[..., Any], receiver: Any) -> None:
    emulator = emulate()
    # The receiver's library refuses timestamps that are not close to the current time.
    emulator.clock.travel(time.time())
    endpoint = listen(emulator, receiver.url, timestamps="clock")
    task_id = fail(emulator)
    (received,) = receiver.wait(1)
    finished_at = int(emulator.clock.now())
    body = f'{{"created_at":{finished_at},"data":{{"task_id":"{task_id}","task_status":"error"}}}}'
    assert received.body == body.encode()
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == f"msg_{task_id}:{finished_at}"
    assert received.headers["webhook-timestamp"] == str(finished_at)
    assert Webhook(endpoint["secret"]).verify(received.body, received.headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(received.body, received.headers)


def test_a_success_sends_a_webhook_with_success(
    emulate: Callable[..., Any], receiver: Any, face_jpeg: bytes
) -> None:
    emulator = emulate()
    listen(emulator, receiver.url, secret=SECRET)
    emulator.run(face_jpeg)
    (received,) = receiver.wait(1)
    told = Webhook(SECRET).verify(received.body, received.headers)
    assert told["data"]["task_status"] == "success"


def test_a_poll_shows_the_end_when_the_webhook_arrives(
    emulate: Callable[..., Any], receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each delivery waits this long for the delivery before it, because the endpoint does not answer.
    monkeypatch.setattr(lane, "HEAD_START_SECONDS", 0.01)
    emulator = emulate()
    listen(emulator, receiver.url)
    receiver.may_answer.clear()
    for _ in range(5):
        task_id = fail(emulator)
        received = receiver.wait(len(receiver.received) + 1)[-1]
        assert json.loads(received.body)["data"]["task_id"] == task_id
        assert emulator.client.get(f"{TASK}/{task_id}").json()["data"]["task_status"] == "error"


def test_every_attempt_has_the_same_id_and_a_timestamp_of_its_own(
    emulate: Callable[..., Any], receiver: Any, eventually: Callable[..., Any]
) -> None:
    emulator = emulate()
    emulator.clock.travel(time.time())
    endpoint = listen(emulator, receiver.url, timestamps="clock")
    receiver.answers += [(500, {}), (503, {"Retry-After": "400"})]
    fail(emulator)
    begun = int(emulator.clock.now())
    for count, gap in ((1, 5.0), (2, 400.0), (3, 0.0)):
        eventually(lambda count=count: len(attempts(emulator)) == count)
        emulator.clock.advance(gap)
    first, second, third = receiver.wait(3)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == third.headers["webhook-id"]
    assert first.body == second.body == third.body
    stamps = [int(received.headers["webhook-timestamp"]) for received in (first, second, third)]
    assert [stamp - begun for stamp in stamps] == [0, 5, 405]
    for received in (first, second):
        Webhook(endpoint["secret"]).verify(received.body, received.headers)
    (delivery,) = deliveries(emulator, state="delivered")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 503, 200]


def test_a_receiver_with_the_real_time_accepts_every_attempt(
    emulate: Callable[..., Any], receiver: Any, eventually: Callable[..., Any]
) -> None:
    emulator = emulate()
    endpoint = listen(emulator, receiver.url)
    receiver.answers += [(500, {})] * 4
    fail(emulator)
    for count in range(1, 6):
        eventually(lambda count=count: len(attempts(emulator)) == count)
        emulator.clock.advance(86_400)
    for received in receiver.wait(5):
        Webhook(endpoint["secret"]).verify(received.body, received.headers)


def test_after_a_restart_retries_continue_by_the_keys_clock(
    on_one_folder: Callable[[], AbstractContextManager[Any]], receiver: Any, eventually: Callable[..., Any]
) -> None:
    whose = {"credential": KEY}
    receiver.answers += [(500, {})] * 2
    with on_one_folder() as emulator:
        moment = "2020-01-01T00:00:00Z"
        emulator.client.post("/_emulator/clock/freeze", params=whose, json={"at": moment})
        listen(emulator, receiver.url)
        fail(emulator)
        eventually(lambda: len(attempts(emulator)) == 1)
    with on_one_folder() as emulator:
        for gap in (4.9, 0.1):
            assert len(attempts(emulator)) == 1
            emulator.client.post("/_emulator/clock/advance", params=whose, json={"seconds": gap})
        eventually(lambda: len(attempts(emulator)) == 2)
        begun = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
        assert [attempt["at"] - begun for attempt in attempts(emulator)] == [0.0, 5.0]


def test_the_schedule_is_the_one_that_standard_webhooks_suggests() -> None:
    assert PerfectCorpSettings().webhook_gaps_s == STANDARD_GAPS_S
    assert [gap / 3600 for gap in STANDARD_GAPS_S[4:]] == [2, 5, 10, 14, 20, 24]
    assert PerfectCorpSettings().webhook_timeout_s == 15.0


def test_410_disables_the_endpoint_and_a_redirect_is_not_followed(
    emulate: Callable[..., Any], receivers: Callable[[], Any], eventually: Callable[..., Any]
) -> None:
    emulator = emulate()
    moved, gone, aim = receivers(), receivers(), receivers()
    listen(emulator, moved.url)
    listen(emulator, gone.url)
    moved.answers.append((302, {"Location": aim.url}))
    gone.answers.append((410, {}))
    fail(emulator)
    eventually(lambda: deliveries(emulator, state="failed"))
    eventually(lambda: attempts(emulator, state="waiting"))
    endpoints = emulator.client.get("/_emulator/webhooks/endpoints").json()
    assert [endpoint["disabled"] is None for endpoint in endpoints] == [True, False]
    assert aim.received == []


def test_both_kinds_of_task_send_webhooks_by_default(emulate: Callable[..., Any], receiver: Any) -> None:
    emulator = emulate()
    listen(emulator, receiver.url)
    pre_process = fail(emulator, f"{TASK}/pre-process")
    reshape = fail(emulator)
    told = [json.loads(received.body)["data"]["task_id"] for received in receiver.wait(2)]
    assert sorted(told) == sorted([pre_process, reshape])

    emulator = emulate(webhook_tasks='["face-reshape"]')
    listen(emulator, receiver.url)
    fail(emulator, f"{TASK}/pre-process")
    reshape = fail(emulator)
    assert json.loads(receiver.wait(3)[2].body)["data"]["task_id"] == reshape
    assert [delivery["task"] for delivery in deliveries(emulator)] == [reshape]


def test_a_key_has_at_most_ten_endpoints(emulate: Callable[..., Any]) -> None:
    emulator = emulate()
    for number in range(10):
        listen(emulator, f"http://127.0.0.1:9/{number}")
    refused = emulator.client.post(
        "/_emulator/webhooks/endpoints",
        params={"credential": KEY},
        json={"url": "http://127.0.0.1:9/", "vendor": "perfectcorp"},
    )
    assert refused.status_code == 422
    assert "already has 10 endpoints" in refused.json()["error"]


def test_the_settings_name_endpoints(emulate: Callable[..., Any], receivers: Callable[[], Any]) -> None:
    mine, everybodys = receivers(), receivers()
    endpoints = [
        {"url": mine.url, "secret": SECRET, "credential": KEY},
        {"url": everybodys.url, "secret": SECRET},
        {"url": "http://127.0.0.1:9/", "secret": SECRET, "credential": "sk-other"},
    ]
    emulator = emulate(webhook_endpoints=json.dumps(endpoints), webhook_gaps_s="[0, 1.5]")
    emulator.clock.travel(time.time())
    fail(emulator)
    for receiver in (mine, everybodys):
        Webhook(SECRET).verify(receiver.wait(1)[0].body, receiver.received[0].headers)
    assert len(deliveries(emulator)) == 2


@pytest.mark.parametrize(
    ("effect", "count", "refusal"),
    [
        ({"copies": 3}, 3, None),
        ({"signature": "wrong"}, 1, "No matching signature found"),
        ({"signature": "missing"}, 1, "Missing required headers"),
        ({"signature": "stale"}, 1, "Message timestamp too old"),
    ],
)
def test_a_receiver_refuses_webhooks_with_a_signature_fault(
    emulate: Callable[..., Any], receiver: Any, effect: dict[str, Any], count: int, refusal: str | None
) -> None:
    emulator = emulate()
    endpoint = listen(emulator, receiver.url)
    rule = FaultRule(match=Match(operation="webhook", nth=2), effect={"webhook": effect})  # type: ignore[arg-type]
    emulator.client.portal.call(emulator.client.app.state.world.faults.add, "1", rule)
    fail(emulator)
    receiver.wait(1)
    fail(emulator)
    first, *bent = receiver.wait(1 + count)
    verify = Webhook(endpoint["secret"]).verify
    verify(first.body, first.headers)
    assert len({received.headers["webhook-id"] for received in bent}) == 1
    for received in bent:
        if refusal is None:
            verify(received.body, received.headers)
        else:
            with pytest.raises(WebhookVerificationError, match=refusal):
                verify(received.body, received.headers)


def test_the_call_that_makes_a_task_can_ask_for_a_fault(
    emulate: Callable[..., Any], receiver: Any, eventually: Callable[..., Any]
) -> None:
    emulator = emulate()
    listen(emulator, receiver.url)
    fail(emulator, **{"X-Emulator-Fault": "webhook-lost"})
    (lost,) = eventually(lambda: deliveries(emulator, state="lost"))
    assert lost["fault"] == {"lost": True, "source": "the call that created the task"}
    assert receiver.received == []


def test_a_corrupt_secret_is_refused() -> None:
    for secret in ("", "whsec_", "whsec_A", "whsec_é", "whsec_=="):
        with pytest.raises(WrongSecret):
            decode_secret(secret)


def test_the_sample_secret_contains_the_signing_key_of_the_page() -> None:
    assert decode_secret(SECRET) == b"44336179331466243:92197042184"


@given(st.binary(min_size=32, max_size=32))
def test_a_new_secret_looks_like_the_sample(drawn: bytes) -> None:
    secret = new_secret(drawn)
    assert len(secret) == len(SECRET)
    first, second = decode_secret(secret).decode().split(":")
    assert (len(first), len(second), first.isdigit(), second.isdigit()) == (17, 11, True, True)


@given(st.binary(min_size=1), st.sampled_from(["", "="]), st.sampled_from(["", "whsec_"]))
def test_a_secret_is_decoded_as_by_the_receivers_library(key: bytes, padding: str, prefix: str) -> None:
    text = base64.b64encode(key).decode()
    secret = prefix + (text if padding else text.rstrip("="))
    assert decode_secret(secret) == key
    signed = sign_message(secret, Message("msg_1", b"{}"), int(time.time()), "good")
    Webhook(secret).verify(b"{}", signed)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.integers(0, 2**40),
    st.sampled_from([TaskState.SUCCEEDED, TaskState.FAILED]),
)
def test_the_body_of_a_webhook_is_minified_and_signed_unchanged(
    task_id: str, moment: int, state: TaskState
) -> None:
    message = compose(Task(task_id, KEY, "k", {}, 1.0, state=state, finished_at=moment + 0.75))
    said = json.loads(message.body)
    status = "success" if state is TaskState.SUCCEEDED else "error"
    assert said == {"created_at": moment, "data": {"task_id": task_id, "task_status": status}}
    assert message.body == json.dumps(said, separators=(",", ":")).encode()
    assert message.id == f"msg_{task_id}:{moment}"
    headers = sign_message(SECRET, message, int(time.time()), "good")
    assert Webhook(SECRET).verify(message.body, headers) == said
