"""Authentication of keys, and rate limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from emulator.vendors.perfectcorp import vendor
from emulator.world.credentials import CredentialState

KEY = "sk-test"
CREDIT = "/s2s/v1.0/client/credit"
FILE = "/s2s/v2.0/file"
TASK = "/s2s/v2.0/task/face-reshape"
PRE_PROCESS = f"{TASK}/pre-process"


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "sk-test"}, {"Authorization": "Bearer"}, {"Authorization": "Basic eA=="}],
)
@pytest.mark.parametrize("path", [FILE, TASK, PRE_PROCESS])
def test_a_call_without_a_key_is_refused(client: httpx.Client, headers: dict[str, str], path: str) -> None:
    response = client.post(path, json={}, headers=headers)
    assert (response.status_code, response.json()) == (
        401,
        {"status": 401, "error": "This API key is not recognized.", "error_code": "InvalidApiKey"},
    )


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (CredentialState.REVOKED, "InactiveApiKey"),
        (CredentialState.RESTRICTED, "InactiveApiKey"),
        (CredentialState.EXPIRED, "ExpiredApiKey"),
        (CredentialState.OTHER_REGION, "InvalidApiKey"),
    ],
)
def test_the_state_of_a_key_decides_its_error(
    emulate: Callable[..., Any], state: CredentialState, code: str
) -> None:
    answer = emulate(credentials={"sk-test": state}).register(10)
    assert (answer.status_code, answer.json()["error_code"]) == (401, code)


def test_an_operation_lists_only_the_key_errors_that_it_returns() -> None:
    of_v2 = {"InvalidApiKey", "InactiveApiKey", "ExpiredApiKey"}
    of_keys = {*of_v2, "InvalidAccessToken", "InvalidAuthentication"}
    for name, operation in vendor.operations.items():
        listed = {entry.name for entry in operation.errors} & of_keys
        if name == "legacy_token":
            assert listed == {"InvalidAuthentication"}
        elif name in {"create_file_v1", "credit", "credit_history"}:
            assert listed == {"InvalidAccessToken"}
        else:
            assert listed == (set() if operation.is_open else of_v2), name


def test_too_many_calls_are_refused_with_rate_limit(emulate: Callable[..., Any]) -> None:
    emulator = emulate(rate_limit=True)
    statuses = [emulator.register(10).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    assert emulator.register(10).json() == {"status": 429, "error": "Too many requests"}
    emulator.clock.advance(1)
    assert emulator.register(10).status_code == 200
    for _ in range(60):
        emulator.clock.advance(1)
        statuses += [emulator.register(10).status_code for _ in range(5)]
    assert statuses.count(200) == 249  # 250 within 300 s, including the one above
    assert statuses[-1] == 429


def test_the_clock_of_one_key_limits_no_other_key(emulate: Callable[..., Any]) -> None:
    emulator = emulate(rate_limit=True)
    emulator.clock.advance(2 * 86400, KEY)
    assert [emulator.register(10).status_code for _ in range(5)] == [200] * 5
    emulator.clock.advance(1)  # the clock by which the calls of an address are counted
    other = {"Authorization": "Bearer sk-other"}
    assert emulator.anonymous.get(CREDIT, headers=other).status_code == 200


def test_all_keys_of_an_address_share_its_limit(emulate: Callable[..., Any]) -> None:
    emulator = emulate(rate_limit=True)
    assert [emulator.register(10).status_code for _ in range(5)] == [200] * 5
    other = {"Authorization": "Bearer sk-other"}
    assert emulator.anonymous.get(CREDIT, headers=other).status_code == 429


def test_a_clock_that_is_set_back_blocks_no_calls(emulate: Callable[..., Any]) -> None:
    emulator = emulate(rate_limit=True)
    assert emulator.client.post("/_emulator/clock/advance", json={"seconds": 3600}).is_success
    assert [emulator.register(10).status_code for _ in range(6)] == [200] * 5 + [429]
    assert emulator.client.delete("/_emulator/clock").is_success
    assert emulator.register(10).status_code == 200
