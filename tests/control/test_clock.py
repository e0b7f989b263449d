"""The default clock, and the clocks of credentials."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from face_api_emulator.client import Client

NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_credential_uses_the_default_clock_until_it_sets_its_own(me: Client) -> None:
    before = me.clock()
    assert (before.own, before.frozen) == (False, False)
    assert abs(before.now - time.time()) < 60
    assert datetime.fromisoformat(before.iso).timestamp() == pytest.approx(before.now, abs=1e-5)
    frozen = me.freeze(NEW_YEAR)
    assert (frozen.own, frozen.frozen, frozen.now, frozen.iso) == (
        True, True, NEW_YEAR.timestamp(), "2030-01-01T00:00:00+00:00",
    )  # fmt: skip
    assert me.advance(90.5).now == NEW_YEAR.timestamp() + 90.5
    assert me.travel(NEW_YEAR.timestamp() - 5).now == NEW_YEAR.timestamp() - 5
    running = me.run()
    assert (running.frozen, running.own) == (False, True)
    assert 0 <= running.now - (NEW_YEAR.timestamp() - 5) < 60
    assert me.freeze().now >= running.now
    assert me.clock() == me.clock()
    assert not me.reset_clock().own


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (0.0, 0.0),
        # Large numbers are seconds too, not milliseconds.
        (30_000_000_000.0, 30_000_000_000.0),
        (datetime(2030, 1, 1), NEW_YEAR.timestamp()),  # noqa: DTZ001 - one without a zone
        (NEW_YEAR.astimezone(timezone(timedelta(hours=9))), NEW_YEAR.timestamp()),
    ],
)
def test_a_time_is_a_number_of_seconds_or_a_date(
    me: Client, moment: datetime | float, seconds: float
) -> None:
    assert me.freeze(moment).now == seconds
    assert me.travel(moment).now == seconds


REACH = "the time is out of range; choose one from 1970-01-01 to 9999-01-01, UTC"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("freeze", {"at": -1}, REACH),
        ("freeze", {"at": "9999-12-31T23:59:59-12:00"}, REACH),
        ("freeze", {"at": "0001-01-01T00:00:00+12:00"}, REACH),
        ("travel", {"to": 1e300}, REACH),
        ("travel", {"to": False}, "valid number"),
        ("travel", {}, "required"),
        ("advance", {"seconds": -1}, "greater than or equal to 0"),
        ("advance", {"seconds": True}, "valid number"),
        ("advance", {"seconds": 1, "hours": 1}, "Extra inputs"),
        (
            "advance",
            {"seconds": 253370764800},
            "the clock cannot go past 9999-01-01 UTC; advance it by fewer seconds",
        ),
    ],
    ids=str,
)
def test_an_invalid_time_is_refused(
    client: httpx.Client, me: Client, path: str, body: dict[str, Any], said: str
) -> None:
    answer = client.post(f"/_emulator/clock/{path}", json=body, params={"credential": me.credential})
    assert (answer.status_code, said in answer.text) == (422, True), answer.text
    assert not me.clock().own


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_not_finite_is_refused_with_422(
    client: httpx.Client, me: Client, number: str
) -> None:
    params = {"credential": me.credential}
    for path, body in (("advance", '{"seconds": %s}'), ("travel", '{"to": %s}'), ("freeze", '{"at": %s}')):
        answer = client.post(f"/_emulator/clock/{path}", content=body % number, params=params)
        assert answer.status_code == 422
    body = '{"effect": "slow", "ttl_s": %s}'
    assert client.post("/_emulator/faults", content=body % number).status_code == 422
