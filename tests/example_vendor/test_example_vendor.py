"""A test for every fact in the ledger of Example Faces."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from vendor_data import FACES, VENDORS, calls_of, data_of

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings
from example_vendor.count import operations
from example_vendor.natural import flow
from face_api_emulator.client import Client
from face_api_emulator.client.models import CredentialState

COUNT, CROPS = "/example/v1/count", "/example/v1/crops"


HEADERS = {"X-Example-Key": "sk-example"}


def test_faces_are_counted_and_billed(client: httpx.Client, me: Client, two_faces_jpeg: bytes) -> None:
    assert client.post(COUNT, content=two_faces_jpeg, headers=HEADERS).json() == {"faces": 2}
    assert client.post(COUNT, content=b"no picture", headers=HEADERS).status_code == 415
    (cost,) = me.costs().operations
    assert (cost.vendor, cost.operation, cost.calls, cost.units) == ("example_vendor", "count", 1, 0)


def test_a_crop_is_polled_announced_and_billed(
    client: httpx.Client, me: Client, receiver: Any, face_jpeg: bytes, serve: Callable[[bytes], str]
) -> None:
    endpoint = me.add_endpoint(receiver.url, "a secret of mine", vendor="example_vendor")
    crop = client.post(CROPS, json={"url": serve(face_jpeg)}, headers=HEADERS).json()
    (received,) = receiver.wait(1)
    told = client.get(f"{CROPS}/{crop['id']}", headers=HEADERS).json()
    assert (told["state"], told["problem"], set(told["box"])) == (
        "done", None, {"left", "top", "width", "height"},
    )  # fmt: skip
    assert json.loads(received.body) == {"id": crop["id"], "state": "done"}
    signed = f"{received.headers['x-example-time']}.".encode() + received.body
    digest = hmac.new(endpoint.secret.encode(), signed, hashlib.sha256).hexdigest()
    assert received.headers["x-example-signature"] == digest
    (cost,) = me.costs().operations
    assert (cost.operation, cost.calls, cost.units) == ("create_crop", 1, 2)


def test_each_operation_can_be_refused_by_a_rule(client: httpx.Client, me: Client) -> None:
    vendor = VENDORS["example_vendor"]
    assert set(data_of(vendor.name).NATURAL) == set(vendor.errors)
    for name, call in calls_of(vendor).items():
        me.add_fault("bad_key", operation=name, vendor=vendor.name, count=1)
        answer = call(Caller("sk-example", client))
        assert (answer.status_code, answer.json()) == (401, {"problem": "bad_key", "hint": "Who are you?"})


def test_a_revoked_key_is_refused(client: httpx.Client, me: Client) -> None:
    me.list_credential("sk-example", CredentialState.REVOKED)
    for answer in (
        client.post(COUNT, content=b"", headers=HEADERS),
        client.post(CROPS, json={}, headers=HEADERS),
        client.get(f"{CROPS}/unknown", headers=HEADERS),
    ):
        assert refusal(answer) == (401, "bad_key", "Who are you?")


def test_an_unknown_path_is_an_error(client: httpx.Client) -> None:
    assert refusal(client.get("/example/nothing")) == (404, "no_such_path", "Nothing is here.")


@pytest.mark.parametrize(("path", "longest", "status"), [(COUNT, 1024 * 1024, 415), (CROPS, 1000, 400)])
def test_a_body_that_is_too_long_is_refused(
    client: httpx.Client, path: str, longest: int, status: int
) -> None:
    assert client.post(path, content=bytes(longest), headers=HEADERS).status_code == status
    answer = client.post(path, content=bytes(longest + 1), headers=HEADERS)
    assert refusal(answer) == (413, "too_large", "That is too much.")


def test_an_unexpected_exception_is_an_error(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(operations, "ImageRules", fail)
    app = create_app(Settings(), workers=workers)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.post(COUNT, content=b"", headers=HEADERS)
    assert refusal(answer) == (500, "defect", "We are sorry.")


@pytest.mark.parametrize(
    ("face", "refused"),
    [
        ("not-a-picture", (415, "no_picture", "The body is not a picture.")),
        ("no-face", (422, "nobody", "There is no face.")),
        ("crowd", (418, "crowd", "Too many to count: 5.")),
    ],
)
def test_a_picture_that_cannot_be_counted_is_refused(
    client: httpx.Client, face: str, refused: tuple[int, str, str]
) -> None:
    picture = (FACES / f"{face}.jpg").read_bytes()
    assert refusal(client.post(COUNT, content=picture, headers=HEADERS)) == refused


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"url": 1}', b'{"url": "me.jpg"}'])
def test_a_crop_needs_the_url_of_a_picture(client: httpx.Client, body: bytes) -> None:
    answer = client.post(CROPS, content=body, headers=HEADERS)
    assert refusal(answer) == (400, "no_body", "Say where the picture is.")


def test_an_unknown_or_expired_crop_gets_410(
    client: httpx.Client, me: Client, face_jpeg: bytes, serve: Callable[[bytes], str]
) -> None:
    gone = (410, "unknown_crop", "That crop is gone.")
    assert refusal(client.get(f"{CROPS}/unknown", headers=HEADERS)) == gone
    crop = client.post(CROPS, json={"url": serve(face_jpeg)}, headers=HEADERS).json()
    polled = f"{CROPS}/{crop['id']}"
    assert client.get(polled, headers=HEADERS).status_code == 200
    assert refusal(client.get(polled, headers={"X-Example-Key": "sk-somebody"})) == gone
    me.advance(86400)
    assert refusal(client.get(polled, headers=HEADERS)) == gone


def test_a_poll_returns_the_error_of_a_failed_crop(client: httpx.Client, me: Client) -> None:
    answer = flow(Caller("sk-example", client), "create_crop")
    failed = {"state": "failed", "box": None, "problem": "The crop failed."}
    assert (answer.status_code, answer.json()) == (200, failed)
    assert me.costs().operations == []


def refusal(answer: Any) -> tuple[int, str, str]:
    """Return the status, the name and the text of an error response, which has no other members."""
    told = answer.json()
    assert set(told) == {"problem", "hint"}
    return answer.status_code, told["problem"], told["hint"]


class Caller:
    """What the calls in natural.py need: a key and a client."""

    def __init__(self, key: str, client: httpx.Client) -> None:
        self.key = key
        self.client = client
