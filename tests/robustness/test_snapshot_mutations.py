"""A snapshot that was edited by hand is refused before anything changes, or it is restored fully."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from conftest import FACES
from emulated import Emulate, Emulated
from snapshots import Parts, mutated, packed, parts_of
from uploads import upload

MUTATIONS = 50
"""Number of mutations for each seed."""

SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.fuzz) for seed in range(4, 100))]
KEY = "sk-mutated"
PLANNED = "sk-planned"
AUTH = {"Authorization": f"Bearer {KEY}"}
TASK = "/s2s/v2.0/task/face-reshape"
FORM = {"api_key": KEY, "api_secret": "s"}


def wait(look: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def emulated(emulate: Emulate) -> Emulated:
    """An emulator with an endpoint that takes no webhooks, so that deliveries wait."""
    return emulate(clock=None, vendors={"perfectcorp": {"webhook_timeout_s": 0.2}})


@pytest.fixture(scope="module")
def taken(emulated: Emulated) -> Parts:
    """A snapshot with documents of all kinds."""
    photo = (FACES / "ok-frontal.jpg").read_bytes()
    control = [
        (
            "POST",
            "faults",
            {"effect": "slow", "match": {"operation": "3dface", "headers": {"a": "b+"}, "nth": 9}},
        ),
        ("POST", "faults", {"effect": {"webhook": {"delay_s": 1e6}}, "match": {"operation": "webhook"}}),
        ("PUT", "credentials", {"credential": "sk-revoked", "state": "revoked"}),
        ("POST", f"clock/advance?credential={KEY}", {"seconds": 60}),
        ("POST", "clock/freeze", None),
        ("PUT", f"lifetimes?credential={KEY}", {"perfectcorp": {"url_seconds": 600, "task_days": 2}}),
        (
            "POST",
            f"webhooks/endpoints?credential={KEY}",
            {"vendor": "perfectcorp", "url": "http://127.0.0.1:9/"},
        ),
        ("PUT", f"webhooks/plan?credential={PLANNED}", {"polls": 1, "webhooks": ["before_end"]}),
    ]
    for method, path, body in control:
        answer = emulated.send(method, f"/_emulator/{path}", json=body)
        assert answer.status_code < 300, answer.text

    new_file = partial(upload, photo, partial(emulated.send, "POST"), partial(emulated.send, "PUT"), AUTH)

    def create(path: str, key: str = KEY, **body: Any) -> str:
        answer = emulated.send("POST", path, json=body, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["task_id"])

    def is_over(path: str, task: str) -> bool:
        return bool(
            emulated.send("GET", f"{path}/{task}", headers=AUTH).json()["data"]["task_status"] != "running"
        )

    reshape: dict[str, Any] = {"version": "1.0", "features": {"jaw": 10}, "global": {}}
    done = [(TASK, create(TASK, **reshape, src_file_id=new_file()))]
    done.append((f"{TASK}/pre-process", create(f"{TASK}/pre-process", src_file_id=new_file())))
    done.append((TASK, create(TASK, **reshape, src_file_url="http://127.0.0.1:9/a.jpg")))
    wait(lambda: all(is_over(path, task) for path, task in done))
    assert emulated.send("DELETE", f"/_emulator/costs?credential={KEY}").status_code == 204
    held = emulated.send("PUT", f"/_emulator/progression?credential={KEY}", json={"mode": "manual"})
    assert held.status_code == 200
    create(TASK, **reshape, src_file_id=new_file())
    create(f"{TASK}/pre-process", src_file_id=new_file())
    wait(lambda: all(task.is_performed for task in emulated.run(emulated.world.tasks.list(KEY))))
    create(TASK, key=PLANNED, **reshape, src_file_url="http://127.0.0.1:9/a.jpg")
    emulated.send("POST", "/facepp/v3/detect", data=FORM, files={"image_file": photo})
    emulated.send("POST", "/s2s/v1.0/client/auth", json={"client_id": KEY, "id_token": "A" * 171 + "="})
    token = emulated.send("POST", "/auth/token", data={"mail": "me@example.com"}).json()["result"]["token"]
    schema = {"schema": ("schema.json", b'{"hair": ["a", "b"]}', "application/json")}
    loaded = emulated.send("PUT", "/glb_const/schema", data={"token": token}, files=schema)
    assert loaded.status_code == 200, loaded.text
    emulated.send("POST", "/face_recon/run_pipeline", data={"token": token}, files={"image_bytes": photo})
    emulated.send("POST", "/s2s/v2.0/file", content=b"{", headers=AUTH)
    emulated.run(emulated.world.journal.flush())
    authorized = emulated.world.meter.authorizing("perfectcorp", "create_reshape", KEY, "open", units=1)
    assert emulated.run(emulated.world.records.write(authorized))
    parts = parts_of(emulated.send("GET", "/_emulator/snapshot").content)
    kinds = {json.loads(line).get("kind") for line in parts["records.jsonl"].splitlines()}
    # Only servers that share a database count calls in it, and share their start.
    assert kinds >= set(emulated.world.checks) - {"example_vendor", "rate", "start"}
    return parts


def read_everything(emulated: Emulated) -> None:
    """Read all state through the control API and the vendors' APIs. Nothing may fail."""
    paths = [
        *("calls?limit=1000", "calls.har", "calls?warned=true", "clock", "costs", "credentials", "faults"),
        *("webhooks/endpoints", "webhooks/deliveries", "tasks", "progression", "lifetimes", "snapshot"),
        *(f"{path}?credential={KEY}" for path in ("calls", "clock", "tasks", "lifetimes", "progression")),
    ]
    answers = [emulated.send("GET", f"/_emulator/{path}") for path in paths]
    verify = {"match": {"body": {"a": 1}, "headers": {"host": "1"}, "since": 0}}
    answers.append(emulated.send("POST", "/_emulator/calls/verify", json=verify))
    tasks = answers[paths.index("tasks")].json()
    for task in tasks:
        kind = "/pre-process" if task["kind"].endswith("pre-process") else ""
        auth = {"Authorization": f"Bearer {task['credential']}"}
        polled = emulated.send("GET", f"{TASK}{kind}/{task['id']}", headers=auth)
        answers.append(polled)
        data = polled.json().get("data") or {}
        url = (data.get("results") or {}).get("url") if not kind else None
        if url:
            answers.append(emulated.send("GET", url))
    deliveries = answers[paths.index("webhooks/deliveries")].json()
    answers += [emulated.send("GET", f"/_emulator/webhooks/deliveries/{each['id']}") for each in deliveries]
    answers += [
        emulated.send("GET", path, headers=AUTH)
        for path in (
            "/s2s/v1.0/client/credit",
            "/s2s/v1.0/client/credit/history",
            "/s2s/v2.0/credit/feature-cost",
        )
    ]
    file = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}
    answers.append(emulated.send("POST", "/s2s/v2.0/file", json={"files": [file]}, headers=AUTH))
    tokens = {each.key for each in emulated.run(emulated.world.records.find("metahuman/schema"))}
    answers += [emulated.send("POST", "/glb_const/schema", data={"token": each}) for each in tokens]
    faces = [each.key for each in emulated.run(emulated.world.records.find("faceplusplus/face"))]
    for face in faces[:1]:
        data = {**FORM, "face_token": face}
        answers.append(emulated.send("POST", "/facepp/v1/face/thousandlandmark", data=data))
    for answer in answers:
        assert answer.status_code < 500 or "error_src" in answer.text, (answer.request.url, answer.text)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_edited_snapshot_is_refused_or_restored_fully(emulated: Emulated, taken: Parts, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secrets
    restore = emulated.send("PUT", "/_emulator/snapshot", content=packed(taken))
    assert restore.status_code == 200, restore.text
    read_everything(emulated)
    refused = 0
    for _ in range(MUTATIONS):
        parts, change = mutated(taken, chance)
        before = emulated.run(state(emulated))
        answer = emulated.send("PUT", "/_emulator/snapshot", content=packed(parts))
        if answer.status_code == 422:
            refused += 1
            assert answer.json()["error"].startswith("this snapshot cannot be restored: "), change
            assert emulated.run(state(emulated)) == before, change
        else:
            assert answer.status_code == 200, (change, answer.text)
            try:
                read_everything(emulated)
            except Exception as error:
                raise AssertionError(change) from error
    assert refused > MUTATIONS / 3


async def state(emulated: Emulated) -> Any:
    """Return what a restore replaces, except what changes by itself."""
    return [
        entry
        async for entry in emulated.world.records.export()
        if getattr(entry, "kind", "") not in {"journal", "", "fault"}
    ]
