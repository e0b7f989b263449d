"""The operations that list a key's units, its charges, and the prices of features."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

CREDIT = "/s2s/v1.0/client/credit"
HISTORY = f"{CREDIT}/history"
COST = "/s2s/v2.0/credit/feature-cost"


def token_of(text: str) -> str:
    """Return the page token with this content."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_key_begins_with_one_grant(emulate: Callable[..., Any]) -> None:
    emulator = emulate(units=7, units_days=1)
    answer = emulator.client.get(CREDIT).json()
    (grant,) = answer["results"]
    assert list(answer) == ["status", "results"]
    assert list(grant) == ["id", "type", "amount", "amount_dec", "expiry"]
    assert (grant["type"], grant["amount"], grant["amount_dec"]) == ("ApiPaygToken", 7, 7.0)
    assert grant["expiry"] == round((emulator.clock.now() + 86400) * 1000)
    assert emulator.client.get(CREDIT).json() == answer
    emulator.clock.advance(86400)
    assert emulator.client.get(CREDIT).json()["results"] == []


def test_the_history_has_pages_with_the_newest_first(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    file_id = emulator.upload(face_jpeg)
    created = []
    for _ in range(3):
        created.append(emulator.create(file_id).json()["data"]["task_id"])
        emulator.clock.advance(1)
    first = emulator.client.get(HISTORY, params={"page_size": 2}).json()["result"]
    second = emulator.client.get(
        HISTORY, params={"page_size": 2, "starting_token": first["next_token"]}
    ).json()["result"]
    assert first["next_token"] == "Mg"  # noqa: S105 - 2, in base64
    assert second["next_token"] is None
    entries = first["history"] + second["history"]
    assert [entry["target_id"] for entry in entries] == created[::-1]
    assert list(entries[0]) == ["id", "timestamp", "action", "target_id", "info"]
    assert entries[0]["action"] == "api_face_reshape"
    (part,) = entries[0]["info"]["credits"]
    assert (part["amount"], part["amount_dec"]) == (-1, -1.0)
    assert part["id"] == emulator.client.get(CREDIT).json()["results"][0]["id"]


def test_the_cost_is_listed_with_a_url_on_the_same_host(emulate: Callable[..., Any]) -> None:
    emulator = emulate(reshape_units=2)
    result = emulator.client.get(COST, headers={"Host": "emulator.internal:81"}).json()["result"]
    assert result == {
        "next_token": None,
        "skus": [
            {
                "description": "AI Face Reshape V1.0",
                "amount": 2,
                "unit": "result_image",
                "proc_unit": 1,
                "run_task_url": "http://emulator.internal:81/s2s/v2.0/task/face-reshape",
            }
        ],
    }
    assert emulator.client.get(COST, params={"starting_token": "MjA"}).json()["result"]["skus"] == []


@pytest.mark.parametrize(
    ("path", "query", "sentence"),
    [
        (COST, {"page_size": 21}, "page_size is above the allowed maximum."),
        (COST, {"page_size": 0}, "page_size is below the allowed minimum."),
        (HISTORY, {"page_size": 31}, "page_size is above the allowed maximum."),
        (HISTORY, {"page_size": "many"}, "page_size doesn't match the required format."),
        (HISTORY, {"page_size": "9" * 5000}, "page_size doesn't match the required format."),
        (HISTORY, {"starting_token": "?"}, "starting_token doesn't match the required format."),
        *(
            (path, {"starting_token": token_of(offset)}, "starting_token doesn't match the required format.")
            for path in (HISTORY, COST)
            for offset in (
                "9" * 15,
                str(2**63),
                "9" * 400,
                "9" * 5000,
                "1" + "0" * 20,
                "-1",
                "+1",
                "1_0",
                "1.0",
            )
        ),
    ],
)
def test_a_wrong_page_is_refused(
    emulate: Callable[..., Any], path: str, query: dict[str, Any], sentence: str
) -> None:
    answer = emulate().client.get(path, params=query)
    assert (answer.status_code, answer.json()["error"], answer.json()["error_code"]) == (
        400,
        sentence,
        "InvalidParameters",
    )


@pytest.mark.parametrize("path", [CREDIT, HISTORY])
def test_an_invalid_key_has_its_own_error_on_v1_paths(emulate: Callable[..., Any], path: str) -> None:
    answer = emulate().anonymous.get(path)
    assert (answer.status_code, answer.json()) == (
        401,
        {"status": 401, "error": "Unauthorized", "error_code": "InvalidAccessToken"},
    )
