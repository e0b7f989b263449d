"""The operation that issues tokens."""

from __future__ import annotations

import uuid

import httpx


def test_a_token_is_a_uuid_and_needs_only_a_mail(client: httpx.Client) -> None:
    response = client.post("/auth/token", data={"mail": "${mail}", "name": "n", "comment": "c"})
    assert response.status_code == 200
    token = response.json()["result"]["token"]
    assert response.json() == {"result": {"token": token}}
    assert str(uuid.UUID(token)) == token
    assert uuid.UUID(token).version == 4
    bare = client.post("/auth/token", data={"mail": "me"}).json()["result"]["token"]
    assert uuid.UUID(bare).version == 4
    assert bare != token
    refused = client.post("/auth/token", data={"email": "me@example.com"})
    missing = {"loc": ["body", "mail"], "msg": "field required", "type": "value_error.missing"}
    assert (refused.status_code, refused.json()) == (422, {"detail": [missing]})
