"""Credentials and their states."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tester import call

from emulator.server import Listening
from face_api_emulator.client import Client
from face_api_emulator.client.models import CredentialState


def test_a_credential_is_accepted_or_refused_by_its_listed_state(
    server: Listening, client: httpx.Client, me: Client
) -> None:
    for state, status in ((CredentialState.REVOKED, 401), (CredentialState.VALID, 200)):
        me.list_credential(str(me.credential), state)
        assert {"credential": me.credential, "state": state} in client.get("/_emulator/credentials").json()
        assert call(server, me).status_code == status
    me.list_credential(str(me.credential), CredentialState.EXPIRED)
    me.reset()
    assert call(server, me).status_code == 200
    assert all(one["credential"] != me.credential for one in client.get("/_emulator/credentials").json())


@pytest.mark.parametrize("path", ["clock", "faults", "progression", "tasks"])
def test_an_empty_credential_is_refused(client: httpx.Client, path: str) -> None:
    assert client.get(f"/_emulator/{path}", params={"credential": ""}).status_code == 422


def test_concurrent_changes_of_a_credential_succeed(client: httpx.Client) -> None:
    body = {"credential": "busy", "state": "revoked"}

    def put(_: int) -> int:
        return client.put("/_emulator/credentials", json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(put, range(80))) == {200}
    assert body in client.get("/_emulator/credentials").json()
    assert client.delete("/_emulator/credentials/busy").status_code == 204
    gone = client.delete("/_emulator/credentials/busy")
    assert (gone.status_code, gone.json()) == (
        404,
        {"error": "busy has no state to remove; a state from the settings can only be replaced"},
    )
    surrogate = client.put("/_emulator/credentials", content=b'{"credential": "\\ud800", "state": "valid"}')
    assert surrogate.status_code == 422
