"""The units that tasks cost, and their refunds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from emulator.backends.records import Replace
from emulator.vendors.perfectcorp.settings import VENDOR
from emulator.vendors.perfectcorp.units.ledger import CHARGE
from emulator.world.credentials import CredentialState

CREDIT = "/s2s/v1.0/client/credit"
HISTORY = f"{CREDIT}/history"
PRE_PROCESS = "/s2s/v2.0/task/face-reshape/pre-process"


def balance(emulator: Any) -> int:
    return sum(grant["amount"] for grant in emulator.client.get(CREDIT).json()["results"])


def history(emulator: Any) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = emulator.client.get(HISTORY).json()["result"]["history"]
    return entries


def test_a_reshape_costs_one_unit_which_a_failure_refunds(
    emulate: Callable[..., Any], face_jpeg: bytes, landscape_jpeg: bytes
) -> None:
    emulator = emulate(units=3)
    emulator.progress("manual")
    task_id = emulator.create(emulator.upload(landscape_jpeg)).json()["data"]["task_id"]
    assert balance(emulator) == 2
    assert [each["target_id"] for each in history(emulator)] == [task_id]
    emulator.finish(task_id)
    assert emulator.wait(task_id)["error"] == "error_no_face"
    assert balance(emulator) == 3
    assert history(emulator) == []
    emulator.progress("real")
    assert emulator.run(face_jpeg)["task_status"] == "success"
    assert balance(emulator) == 2
    assert [each["action"] for each in history(emulator)] == ["api_face_reshape"]


def test_charges_of_earlier_versions_are_spent_and_refunded(
    emulate: Callable[..., Any], face_jpeg: bytes, landscape_jpeg: bytes
) -> None:
    """Until the end of a task, the meter had a document for its call, and the charge had no period."""
    emulator = emulate(units=5)
    emulator.progress("manual")
    good, bad = (
        emulator.create(emulator.upload(data)).json()["data"]["task_id"]
        for data in (face_jpeg, landscape_jpeg)
    )
    world = emulator.client.app.state.world

    async def make_older(task_id: str) -> None:
        charge = await world.records.get(CHARGE, task_id)
        call = (VENDOR, charge.document["operation"], charge.credential, task_id)
        older = {name: value for name, value in charge.document.items() if name != "period"}
        assert await world.records.write(
            [
                Replace(CHARGE, charge, older),
                *world.meter.taking_back(*call, units=1, period=charge.document["period"]),
                *world.meter.authorizing(*call, units=1),
            ]
        )

    def costs() -> tuple[int, int]:
        (cost,) = emulator.client.get("/_emulator/costs").json()["operations"]
        return cost["calls"], cost["units"]

    for task_id in (good, bad):
        emulator.client.portal.call(make_older, task_id)
    assert (balance(emulator), costs()) == (3, (2, 2))
    for task_id in (good, bad):
        emulator.finish(task_id)
        emulator.wait(task_id)
    assert (balance(emulator), costs()) == (4, (1, 1))
    assert [each["target_id"] for each in history(emulator)] == [good]
    assert emulator.client.portal.call(world.records.find, "meter/authorized") == []


def test_concurrent_creations_use_no_more_units_than_there_are(
    emulate: Callable[..., Any], landscape_jpeg: bytes
) -> None:
    emulator = emulate(units=3)
    emulator.progress("manual")
    file_id = emulator.upload(landscape_jpeg)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: emulator.create(file_id), range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 3, 400: 5}
    assert balance(emulator) == 0
    created = {answer.json()["data"]["task_id"] for answer in answers if answer.status_code == 200}
    assert {each["target_id"] for each in history(emulator)} == created
    for since_start in (False, True):
        params = {"credential": "sk-test", "since_start": since_start}
        totals = emulator.client.get("/_emulator/costs", params=params).json()
        (cost,) = totals["operations"]
        assert (cost["calls"], cost["units"]) == (3, 3)


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
    # The file is checked before the units.
    assert emulator.create("unknown").json()["error_code"] == "InvalidParameters"


def test_a_key_without_balance_can_call_free_operations(
    emulate: Callable[..., Any], face_jpeg: bytes
) -> None:
    emulator = emulate(credentials={"sk-test": CredentialState.NO_BALANCE})
    file_id = emulator.upload(face_jpeg)
    assert emulator.create(file_id).json()["error_code"] == "CreditInsufficiency"
    assert emulator.client.get(CREDIT).status_code == 200
