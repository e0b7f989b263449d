"""Faults, costs and lifetimes work for a vendor that is not part of the package."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from click.testing import CliRunner

from emulator.backends.queue.pool import WorkerPool
from emulator.cli import app
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.client import Client, ControlError

COUNT, CROPS = "/example/v1/count", "/example/v1/crops"
KEY = {"X-Example-Key": "sk-example"}
BEARER = {"Authorization": "Bearer sk-example"}
CREDIT = "/s2s/v1.0/client/credit"
NOWHERE = {"url": "http://127.0.0.1:9/me.jpg"}


def test_a_rule_is_for_a_vendor_and_an_operation(client: httpx.Client, me: Client) -> None:
    def problems() -> list[str]:
        answers = [client.post(COUNT, headers=KEY), client.get(f"{CROPS}/unknown", headers=KEY)]
        return [answer.json()["problem"] for answer in answers]

    rule = me.add_fault("bad_key", vendor="example_vendor", operation="check_crop")
    assert problems() == ["no_picture", "bad_key"]
    me.remove_fault(rule.id)
    me.add_fault("unavailable", vendor="example_vendor")
    assert client.post(COUNT, headers=KEY).status_code == 503
    assert client.get(CREDIT, headers=BEARER).status_code == 200
    me.forget_faults()
    me.add_fault("crowd", operation="count")
    assert problems() == ["crowd", "unknown_crop"]


def test_a_rule_is_refused_where_its_error_cannot_happen(me: Client) -> None:
    with pytest.raises(ControlError, match="cannot happen at create_crop, only at count"):
        me.add_fault("crowd", vendor="example_vendor", operation="create_crop")
    with pytest.raises(ControlError, match="crowd"):
        me.add_fault("crowd", vendor="perfectcorp")


def test_the_command_line_lists_operations_and_errors(server: Listening) -> None:
    def lines(command: str) -> list[str]:
        done = CliRunner().invoke(app, ["faults", command, "--url", server.base_url])
        return [" ".join(line.split()) for line in done.output.splitlines() if "example_vendor" in line]

    assert lines("operations") == [
        "example_vendor count receives a picture",
        "example_vendor create_crop creates a task",
        "example_vendor check_crop",
        "example_vendor webhook",
    ]
    names = lines("names")
    assert len(names) == 10
    assert "example_vendor crowd The picture has more faces than `most_faces`." in names


def test_calls_and_units_have_a_price(
    workers: WorkerPool, two_faces_jpeg: bytes, serve: Callable[[bytes], str]
) -> None:
    prices = {"count": {"amount": "0.02", "currency": "EUR"}, "unit": {"amount": "0.5", "currency": "USD"}}
    settings = Settings(vendors={"example_vendor": {"prices": prices, "crop_units": 3}})
    with (
        running_server(settings, workers=workers) as server,
        httpx.Client(base_url=server.base_url, headers=KEY, timeout=60) as client,
        Client(server.base_url, "sk-example") as me,
    ):
        me.set_progression("immediate")
        for _ in range(2):
            assert client.post(COUNT, content=two_faces_jpeg).status_code == 200
        bodies = ({"url": serve(two_faces_jpeg)}, NOWHERE)
        crops = [client.post(CROPS, json=body).json()["id"] for body in bodies]
        states = [client.get(f"{CROPS}/{crop}").json()["state"] for crop in crops]
        found = me.costs()
    assert states == ["done", "failed"]
    assert [(each.operation, each.calls, each.units, each.amounts) for each in found.operations] == [
        ("count", 2, 0, {"EUR": "0.04"}),
        ("create_crop", 1, 3, {"USD": "1.5"}),
    ]
    assert found.totals == {"EUR": "0.04", "USD": "1.5"}


def test_a_crop_expires_after_the_lifetime_of_its_key(client: httpx.Client, me: Client) -> None:
    assert me.lifetimes()["example_vendor"] == {"crop_days": 1.0}
    me.set_lifetimes("example_vendor", crop_days=0.5)
    me.freeze()
    crop = client.post(CROPS, json=NOWHERE, headers=KEY).json()["id"]
    statuses = []
    for hours in (0, 11, 1):
        me.advance(hours * 3600)
        statuses.append(client.get(f"{CROPS}/{crop}", headers=KEY).status_code)
    assert statuses == [200, 200, 410]
    me.reset_lifetimes()
    assert client.get(f"{CROPS}/{crop}", headers=KEY).status_code == 200
    with pytest.raises(ControlError, match="example_vendor: there is no lifetime picture_bytes"):
        me.set_lifetimes("example_vendor", picture_bytes=1)
