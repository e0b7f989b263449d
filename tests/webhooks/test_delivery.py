from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.webhooks.delivery import (
    Attempt,
    Delivery,
    DeliveryState,
    Endpoint,
    Message,
    Policy,
    delivery_id,
    fail,
    record,
    with_message,
)
from emulator.webhooks.fault import NO_FAULT, WebhookFault

POLICY = Policy((0.0, 5.0, 300.0), 15.0, 10)
PREPARED = Delivery("dlv_1", "me", "v", "t", "ep_1", "http://localhost/")
MESSAGE = Message("msg_t:1", b'{"a":1}')
WAITING = with_message(PREPARED, MESSAGE, NO_FAULT, None, 100.0, hold=False)


def attempt(number: int, at: float, status: int | None = None, **more: Any) -> Attempt:
    return Attempt(number, at, 3, status, **more)


def test_attempts_follow_the_schedule_until_none_is_left() -> None:
    assert (WAITING.state, WAITING.next_at) == (DeliveryState.WAITING, 100.0)
    first = record(WAITING, [attempt(1, 100.0, 500)], POLICY)
    assert (first.state, first.next_at) == (DeliveryState.WAITING, 105.0)
    second = record(first, [attempt(2, 105.0, error="no answer")], POLICY)
    assert (second.state, second.next_at) == (DeliveryState.WAITING, 405.0)
    third = record(second, [attempt(3, 405.0, 302)], POLICY)
    assert (third.state, third.reason) == (DeliveryState.FAILED, "no attempt is left")
    assert [made.number for made in third.attempts] == [1, 2, 3]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_status_from_200_to_299_is_accepted(status: int) -> None:
    assert record(WAITING, [attempt(1, 100.0, status)], POLICY).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("status", [100, 199, 300, 301, 400, 404, 429, 500])
def test_any_other_status_is_retried(status: int) -> None:
    assert record(WAITING, [attempt(1, 100.0, status)], POLICY).state is DeliveryState.WAITING


def test_410_ends_the_attempts() -> None:
    gone = record(WAITING, [attempt(1, 100.0, 410)], POLICY)
    assert (gone.state, gone.reason) == (DeliveryState.FAILED, "the endpoint answered 410")


@pytest.mark.parametrize(
    ("retry_after", "next_at"),
    [
        ("60", 160.0),
        ("2", 105.0),  # earlier than the schedule, which applies
        (" 7 ", 107.0),
        (formatdate(130.0, usegmt=True), 130.0),
        (formatdate(0.0, usegmt=True), 105.0),
        ("99999999", 100.0 + 86400.0),
        ("soon", 105.0),
        ("-3", 105.0),
        ("Wed, 01 Jan 2025 00:00:00 +99999999999999", 105.0),
        ("²", 105.0),
    ],
)
def test_retry_after_delays_the_next_attempt(retry_after: str, next_at: float) -> None:
    after = record(WAITING, [attempt(1, 100.0, 503, retry_after=retry_after)], POLICY)
    assert after.next_at == next_at


def test_one_accepted_copy_is_enough() -> None:
    copies = [attempt(1, 100.0, 500), attempt(1, 100.0, 200)]
    assert record(WAITING, copies, POLICY).state is DeliveryState.DELIVERED


def test_a_replay_neither_fails_a_delivery_nor_counts_as_an_attempt() -> None:
    refused = record(WAITING, [attempt(1, 101.0, 500, is_replay=True)], POLICY)
    assert (refused.state, refused.next_at) == (DeliveryState.WAITING, 100.0)
    taken = record(fail(refused, "over"), [attempt(1, 102.0, 200, is_replay=True)], POLICY)
    assert (taken.state, taken.reason) == (DeliveryState.DELIVERED, None)


def test_a_delivery_gets_its_message_once() -> None:
    assert (
        with_message(WAITING, Message("other", b""), WebhookFault(lost=True), "x", 5.0, hold=True) == WAITING
    )
    delayed = with_message(PREPARED, MESSAGE, WebhookFault(delay_s=60.0), "rule 1", 100.0, hold=False)
    assert (delayed.state, delayed.next_at, delayed.source) == (DeliveryState.WAITING, 160.0, "rule 1")
    lost = with_message(PREPARED, MESSAGE, WebhookFault(lost=True), "rule 1", 100.0, hold=True)
    assert lost.state is DeliveryState.LOST
    assert with_message(PREPARED, MESSAGE, NO_FAULT, None, 1.0, hold=True).state is DeliveryState.HELD


def test_a_finished_delivery_does_not_fail() -> None:
    for state in (DeliveryState.DELIVERED, DeliveryState.LOST, DeliveryState.FAILED):
        ended = replace(WAITING, state=state)
        assert fail(ended, "late") == ended


def test_a_delivery_id_depends_on_task_and_endpoint() -> None:
    assert delivery_id("t", "e") == delivery_id("t", "e")
    assert len({delivery_id("t", "e"), delivery_id("te", ""), delivery_id("t", "f")}) == 3


@given(
    st.text(),
    st.sampled_from(DeliveryState),
    st.lists(st.builds(Attempt, st.integers(1, 9), st.floats(0, 2e9), st.integers(0, 9), st.none())),
    st.builds(WebhookFault, copies=st.integers(1, 10), signature=st.sampled_from(["good", "stale"])),
)
def test_deliveries_and_endpoints_survive_a_round_trip_through_documents(
    body: str, state: DeliveryState, attempts: list[Attempt], fault: WebhookFault
) -> None:
    message = Message("id", body.encode("utf-8", "replace"))
    delivery = replace(WAITING, message=message, state=state, attempts=tuple(attempts), fault=fault)
    assert Delivery.from_document(delivery.to_document()) == delivery
    assert Delivery.from_document(PREPARED.to_document()) == PREPARED
    endpoint = Endpoint("ep", "me", "v", "http://x/", body, disabled="gone")
    assert Endpoint.from_document(endpoint.to_document()) == endpoint
