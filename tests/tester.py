"""Helpers that call Perfect Corp with a tester's credential, and that catch errors of the control API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from emulator.server import Listening
from face_api_emulator.client import Client, ControlError

COST = "/s2s/v2.0/credit/feature-cost"


def call(
    server: Listening, me: Client, method: str = "GET", path: str = COST, **request: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {me.credential}"}
    return httpx.request(method, server.base_url + path, headers=headers, **request)


def refusal(refused: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ControlError) as caught:
        refused()
    assert str(caught.value) == f"{caught.value.detail} (HTTP {caught.value.status})"
    return caught.value.status, caught.value.detail
