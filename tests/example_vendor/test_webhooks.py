"""Webhooks of two vendors on one emulator."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from emulator.app import create_app
from emulator.settings import Settings
from emulator.webhooks.endpoints import Source, WrongSecret
from face_api_emulator.client import Client

KEY = {"X-Example-Key": "sk-example"}
NOBODY = {"Authorization": "Bearer sk-example", "X-Emulator-Fault": "error_no_face"}
RESHAPE = {"src_file_url": "http://127.0.0.1:9/", "version": "1.0", "features": {"jaw": 1}, "global": {}}
HOOK = "http://127.0.0.1:9/hook"
ENDPOINTS = "/_emulator/webhooks/endpoints"


def vendor_of(received: Any, secret: str) -> str:
    """Return the vendor that sent a webhook, after a check of the signature."""
    if "webhook-signature" in received.headers:
        Webhook(secret).verify(received.body, received.headers)
        return "perfectcorp"
    signed = f"{received.headers['x-example-time']}.".encode() + received.body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert received.headers["x-example-signature"] == digest
    return "example_vendor"


def test_an_endpoint_gets_the_webhooks_of_its_vendor_or_of_all(
    client: httpx.Client,
    me: Client,
    receivers: Callable[[], Any],
    eventually: Callable[[Callable[[], object]], object],
) -> None:
    vendors = ("perfectcorp", "example_vendor", None)
    ends = [receivers() for _ in vendors]
    added = [me.add_endpoint(end.url, vendor=vendor) for end, vendor in zip(ends, vendors, strict=True)]
    assert [endpoint.vendor for endpoint in me.endpoints()] == list(vendors)
    crop = client.post("/example/v1/crops", json={"url": "http://127.0.0.1:9/"}, headers=KEY).json()["id"]
    answer = client.post("/s2s/v2.0/task/face-reshape", json=RESHAPE, headers=NOBODY)
    task = answer.json()["data"]["task_id"]
    eventually(lambda: [each.state for each in me.deliveries()] == ["delivered"] * 4)
    heard = [
        sorted(vendor_of(each, endpoint.secret) for each in end.received)
        for end, endpoint in zip(ends, added, strict=True)
    ]
    assert heard == [["perfectcorp"], ["example_vendor"], ["example_vendor", "perfectcorp"]]
    assert json.loads(ends[1].received[0].body) == {"id": crop, "state": "failed"}
    assert json.loads(ends[0].received[0].body)["data"] == {"task_id": task, "task_status": "error"}
    assert {(each.vendor, each.task) for each in me.deliveries()} == {
        ("example_vendor", crop),
        ("perfectcorp", task),
    }


def test_an_endpoint_belongs_to_the_only_vendor_with_webhooks() -> None:
    client = TestClient(create_app(Settings(vendor_packages=("emulator.vendors",))))
    with client:
        added = client.post(ENDPOINTS, json={"url": HOOK}).json()
    assert (added["vendor"], added["secret"][:6]) == ("perfectcorp", "whsec_")


def test_the_secret_of_an_endpoint_for_all_vendors_is_valid_for_all() -> None:
    def picky(prefix: str) -> Callable[[str], None]:
        def check(secret: str) -> None:
            if not secret.startswith(prefix):
                raise WrongSecret(f"the secret does not begin with {prefix}")

        return check

    app = create_app()
    sources: dict[str, Source] = app.state.world.webhooks.endpoints.sources
    assert list(sources) == ["perfectcorp", "example_vendor"]
    with TestClient(app) as client:
        # Now only secrets of the second vendor are valid for both vendors.
        sources["example_vendor"] = replace(sources["example_vendor"], check_secret=picky("example-"))
        added = client.post(ENDPOINTS, json={"url": HOOK})
        assert (added.status_code, added.json()["vendor"]) == (201, None)
        assert added.json()["secret"].startswith("example-")
        sources["perfectcorp"] = replace(sources["perfectcorp"], check_secret=picky("whsec_"))
        refused = client.post(ENDPOINTS, json={"url": HOOK})
    assert (refused.status_code, refused.json()["error"]) == (
        422,
        f"{HOOK}: no secret is valid for all vendors; name one vendor",
    )


@pytest.mark.parametrize("vendor", ["example_vendor", None])
def test_an_endpoint_with_an_invalid_secret_is_refused(me: Client, vendor: str | None) -> None:
    with pytest.raises(Exception, match="the secret has fewer than 8 characters"):
        me.add_endpoint(HOOK, "c2hvcnQ", vendor=vendor)
