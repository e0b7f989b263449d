"""What Example Faces does, so that its ledger can name a test for every fact."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx
from vendor_data import VENDORS, calls_of, data_of

from emulator.control import Client

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


def test_an_error_of_each_operation(client: httpx.Client, me: Client) -> None:
    vendor = VENDORS["example_vendor"]
    assert set(data_of(vendor.name).NATURAL) == set(vendor.errors)
    for name, call in calls_of(vendor).items():
        me.add_fault("bad_key", operation=name, vendor=vendor.name, count=1)
        answer = call(Caller("sk-example", client))
        assert (answer.status_code, answer.json()) == (401, {"problem": "bad_key", "hint": "Who are you?"})


class Caller:
    """A key, and a client that calls with it."""

    def __init__(self, key: str, client: httpx.Client) -> None:
        self.key = key
        self.client = client
