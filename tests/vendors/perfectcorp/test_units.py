"""What tasks cost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.vendors.perfectcorp.units import RESHAPE_ACTION, Units
from emulator.web.credentials import CredentialState

CREDIT = "/s2s/v1.0/client/credit"
HISTORY = f"{CREDIT}/history"
COST = "/s2s/v2.0/credit/feature-cost"
PRE_PROCESS = "/s2s/v2.0/task/face-reshape/pre-process"


def balance(emulator: Any) -> int:
    return sum(grant["amount"] for grant in emulator.client.get(CREDIT).json()["results"])


def history(emulator: Any) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = emulator.client.get(HISTORY).json()["result"]["history"]
    return entries


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


def test_a_reshape_costs_one_unit_and_a_failed_one_gives_it_back(
    emulate: Callable[..., Any], face_jpeg: bytes, landscape_jpeg: bytes
) -> None:
    emulator = emulate(units=3)
    # The worker still warms up, so the task cannot have failed yet.
    created = emulator.create(emulator.upload(landscape_jpeg))
    assert balance(emulator) == 2
    assert emulator.wait(created.json()["data"]["task_id"])["error"] == "error_no_face"
    assert balance(emulator) == 3
    assert emulator.run(face_jpeg)["task_status"] == "success"
    assert balance(emulator) == 2
    assert len(emulator.client.get(HISTORY).json()["result"]["history"]) == 1


def test_without_units_no_task_is_created_and_pre_process_is_free(
    emulate: Callable[..., Any], face_jpeg: bytes
) -> None:
    emulator = emulate(units=0)
    file_id = emulator.upload(face_jpeg)
    answer = emulator.create(file_id)
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "status": 400,
            "error": "Your account doesn't have enough credits to complete this request.",
            "error_code": "CreditInsufficiency",
        },
    )
    assert emulator.create(file_id, PRE_PROCESS).status_code == 200
    # A bad file is said before the units are looked at.
    assert emulator.create("unknown").json()["error_code"] == "InvalidParameters"


def test_a_key_that_is_out_of_balance_may_do_what_is_free(
    emulate: Callable[..., Any], face_jpeg: bytes
) -> None:
    emulator = emulate(credentials={"sk-test": CredentialState.NO_BALANCE})
    file_id = emulator.upload(face_jpeg)
    assert emulator.create(file_id).json()["error_code"] == "CreditInsufficiency"
    assert emulator.client.get(CREDIT).status_code == 200


def test_what_was_taken_for_a_task_that_never_came_to_be_is_given_back_at_the_next_start(
    on_one_folder: Callable[[], AbstractContextManager[Any]], face_jpeg: bytes
) -> None:
    with on_one_folder() as emulator:
        kept = emulator.create(emulator.upload(face_jpeg)).json()["data"]["task_id"]
        emulator.wait(kept)
        units = Units(emulator.client.app.state.services, PerfectCorpSettings())
        # As far as a creation comes whose process is killed before the task is recorded.
        emulator.client.portal.call(units.reserve, "sk-test", "never-told", RESHAPE_ACTION, 1)
        assert balance(emulator) == 998
        assert [each["target_id"] for each in history(emulator)] == ["never-told", kept]
    with on_one_folder() as emulator:
        assert balance(emulator) == 999
        assert [each["target_id"] for each in history(emulator)] == [kept]


def test_the_history_is_paged_the_newest_first(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
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
        (HISTORY, {"starting_token": "?"}, "starting_token doesn't match the required format."),
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
def test_without_a_good_key_the_v1_paths_answer_in_their_own_way(
    emulate: Callable[..., Any], path: str
) -> None:
    answer = emulate().anonymous.get(path)
    assert (answer.status_code, answer.json()) == (
        401,
        {"status": 401, "error": "Unauthorized", "error_code": "InvalidAccessToken"},
    )
