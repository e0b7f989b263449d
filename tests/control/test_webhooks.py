from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.control.webhooks import mask

TASK = "/s2s/v2.0/task/face-reshape"
BODY = {"src_file_url": "http://127.0.0.1:9/a.jpg", "version": "1.0", "features": {"jaw": 1}, "global": {}}
ENDPOINTS = "/_emulator/webhooks/endpoints"
DELIVERIES = "/_emulator/webhooks/deliveries"


def fail(client: httpx.Client, key: str) -> str:
    headers = {"Authorization": f"Bearer {key}", "X-Emulator-Fault": "error_no_face"}
    task_id: str = client.post(TASK, json=BODY, headers=headers).json()["data"]["task_id"]
    return task_id


def test_a_secret_is_shown_only_once(client: httpx.Client) -> None:
    mine = {"credential": "sk-shown-once"}
    added = client.post(ENDPOINTS, params=mine, json={"url": "http://127.0.0.1:9/"}).json()
    assert added["secret"].startswith("whsec_")
    assert len(added["secret"]) == 45
    assert client.get(ENDPOINTS, params=mine).json() == [{**added, "secret": mask(added["secret"])}]
    assert added["secret"] not in client.get(ENDPOINTS).text
    assert client.get(ENDPOINTS, params={"credential": "sk-nobody"}).json() == []
    assert client.delete(f"{ENDPOINTS}/{added['id']}").status_code == 204
    gone = client.delete(f"{ENDPOINTS}/{added['id']}")
    reason = f"there is no endpoint {added['id']}; GET /_emulator/webhooks/endpoints lists them"
    assert (gone.status_code, gone.json()) == (404, {"error": reason})


def test_a_mask_hides_all_of_a_short_secret() -> None:
    assert mask("whsec_NDQzMzYxNzkzMzE0NjYy") == "whsec_...NjYy"
    assert mask("whsec_abcdef") == "whsec_..."
    assert mask("abcdef") == "..."
    assert mask("whsec_NDQzMzYx_zkzMTQ2NjYy") == "whsec_...NjYy"
    assert mask("NDQzMzYx_zkzMTQ2NjYy") == "...NjYy"


def test_an_invalid_endpoint_is_refused_with_the_reason(client: httpx.Client) -> None:
    for new in (
        {"url": "nonsense"},
        {"url": "http://a/", "secret": "whsec_A"},
        {"url": "http://a/", "vendor": "x"},
    ):
        refused = client.post(ENDPOINTS, json=new)
        assert refused.status_code == 422
        assert new["url"] in refused.json()["error"]


def test_deliveries_are_filtered_and_replayed(
    client: httpx.Client, receiver: Any, eventually: Callable[..., Any]
) -> None:
    keys = ("sk-log-1", "sk-log-2")
    endpoints = [
        client.post(ENDPOINTS, params={"credential": key}, json={"url": receiver.url}).json() for key in keys
    ]
    tasks = [fail(client, key) for key in keys]
    for key, endpoint, task in zip(keys, endpoints, tasks, strict=True):
        mine = {"credential": key}
        (delivery,) = eventually(
            lambda mine=mine: client.get(DELIVERIES, params={**mine, "state": "delivered"}).json()
        )
        assert (delivery["task"], delivery["endpoint"], delivery["url"]) == (
            task,
            endpoint["id"],
            receiver.url,
        )
        assert delivery["webhook_id"].startswith(f"msg_{task}:")
        (attempt,) = delivery["attempts"]
        assert (attempt["number"], attempt["status"], attempt["error"], attempt["replay"]) == (
            1,
            200,
            None,
            False,
        )
        assert client.get(DELIVERIES, params={"task": task}).json() == [delivery]
        assert client.get(DELIVERIES, params={"endpoint": endpoint["id"]}).json() == [delivery]
        assert client.get(DELIVERIES, params={**mine, "state": "failed"}).json() == []
        replayed = client.post(f"{DELIVERIES}/{delivery['id']}/replay").json()
        assert [made["replay"] for made in replayed["attempts"]] == [False, True]
    ids = [received.headers["webhook-id"] for received in receiver.wait(4)]
    assert len(set(ids)) == 2
    assert client.post(f"{DELIVERIES}/nothing/replay").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "webhooks/endpoints", None),
        ("POST", "webhooks/endpoints", {"url": "http://127.0.0.1:9/"}),
        ("GET", "webhooks/deliveries", None),
        ("GET", "webhooks/plan", None),
        ("PUT", "webhooks/plan", {}),
        ("DELETE", "webhooks/plan", None),
        ("DELETE", "calls", None),
        ("GET", "costs", None),
        ("DELETE", "costs", None),
    ],
)
def test_an_empty_credential_is_not_the_default(
    client: httpx.Client, method: str, path: str, body: dict[str, object] | None
) -> None:
    answer = client.request(method, f"/_emulator/{path}?credential=", json=body)
    assert answer.status_code == 422
    assert "credential" in answer.json()["error"]


def test_a_reset_also_removes_an_endpoint_that_is_being_added(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(workers=workers)
    world = app.state.world
    drawn, go_on, draw = threading.Event(), threading.Event(), world.ids.draw
    mine = {"credential": "sk-half"}

    async def draw_and_dawdle(credential: str, kind: str, length: int) -> bytes:
        number: bytes = await draw(credential, kind, length)
        if kind == "webhook/endpoint":
            drawn.set()
            await asyncio.to_thread(go_on.wait)
        return number

    def add() -> str:
        answer = client.post(ENDPOINTS, params=mine, json={"url": "http://127.0.0.1:9/"})
        endpoint_id: str = answer.json()["id"]
        return endpoint_id

    with TestClient(app) as client, ThreadPoolExecutor() as pool:
        monkeypatch.setattr(world.ids, "draw", draw_and_dawdle)
        half = pool.submit(add)
        assert drawn.wait(30)
        resetting = pool.submit(client.post, "/_emulator/reset", json=mine)
        try:
            with pytest.raises(TimeoutError):
                resetting.result(timeout=0.2)
        finally:
            go_on.set()
        assert resetting.result(timeout=30).status_code == 204
        assert client.get(ENDPOINTS, params=mine).json() == []
        # The ids start again, and the first one is free.
        assert add() == half.result()
