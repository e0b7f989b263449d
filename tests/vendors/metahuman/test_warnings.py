"""Warnings in the journal about calls of MetaHuman SDK."""

from __future__ import annotations

import httpx

PATH = "/face_recon/run_pipeline"


def warnings(client: httpx.Client, **filters: str) -> list[tuple[str, str]]:
    calls = client.get("/_emulator/calls", params={"vendor": "metahuman", **filters}).json()["calls"]
    return [(warning["code"], warning["detail"]) for warning in calls[-1]["warnings"]]


def test_unknown_and_ignored_fields(client: httpx.Client, face_jpeg: bytes) -> None:
    token = "warned-of-fields"  # noqa: S105 - not a real token
    data = {"token": token, "mode": "card"}
    assert client.post(PATH, data=data, files={"image_bytes": face_jpeg}).status_code == 200
    assert warnings(client, credential=token) == [("field-dropped", "unknown field mode")]
    client.post("/auth/token", data={"mail": "a@b", "name": "n", "email": "a@b"})
    assert warnings(client, operation="token") == [("field-dropped", "unknown field email")]


def test_a_picture_of_another_type_than_declared(client: httpx.Client, face_jpeg: bytes) -> None:
    token = "warned-of-type"  # noqa: S105 - not a real token
    for said, expected in (
        (
            "image/webp",
            [("upload-content-type-mismatch", "image_bytes: declared image/webp, sent image/jpeg")],
        ),
        ("image/jpg", []),
    ):
        files = {"image_bytes": ("a.jpg", face_jpeg, said)}
        assert client.post(PATH, data={"token": token}, files=files).status_code == 200
        assert warnings(client, credential=token) == expected


def test_unknown_query_parameters(client: httpx.Client) -> None:
    dropped = [("field-dropped", "there is no query parameter mode")]
    token = "warned-of-query"  # noqa: S105 - not a real token
    files = {"image_bytes": b""}
    client.post(PATH, params={"mode": "card"}, data={"token": token}, files=files)
    assert warnings(client, credential=token) == dropped
    client.post("/auth/token", params={"mode": "card"}, data={"mail": "a@b"})
    assert warnings(client, operation="token") == dropped
    client.get("/static/nothing.png", params={"mode": "card"})
    assert warnings(client, operation="static") == dropped
