"""Data of Perfect Corp for the conformance tests (``tests/vendor_data.py`` explains it)."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import httpx
from PIL import Image as PillowImage

from emulator.server import running_server
from emulator.settings import Settings
from emulator.vendors.perfectcorp.files import store
from emulator.vendors.perfectcorp.reshape import operations
from emulator.vendors.perfectcorp.reshape.jobs import Engine

FILE = "/s2s/v2.0/file"
TASK = "/s2s/v2.0/task/face-reshape"
PRE_PROCESS = f"{TASK}/pre-process"
DELETE = "/s2s/v2.0/task/delete"
CREDIT = "/s2s/v1.0/client/credit"
HISTORY = f"{CREDIT}/history"
AUTH = "/s2s/v1.0/client/auth"
COST = "/s2s/v2.0/credit/feature-cost"
BODY: Mapping[str, Any] = {"version": "1.0", "features": {"jaw": 10}, "global": {}}
NOWHERE = {"src_file_url": "http://127.0.0.1:9/a.jpg"}
PATIENCE_SECONDS = 60


def headers(world: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.key}"}


def register(world: Any, size: int = 10, *, client: Any = None) -> Any:
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": size}
    answer = (client or world.client).post(FILE, json={"files": [new]}, headers=headers(world))
    return answer.json()["data"]["files"][0]


def upload(world: Any, data: bytes, *, client: Any = None) -> str:
    client = client or world.client
    file = register(world, len(data), client=client)
    request = file["requests"][0]
    client.put(request["url"], headers=request["headers"], content=data).raise_for_status()
    return str(file["file_id"])


def create(world: Any, source: Mapping[str, Any], path: str = TASK, *, client: Any = None) -> Any:
    return (client or world.client).post(path, json={**BODY, **source}, headers=headers(world))


def task_id_of(answer: Any) -> str:
    return str(answer.json()["data"]["task_id"])


def poll(world: Any, task_id: str, path: str = TASK, *, client: Any = None) -> Any:
    return (client or world.client).get(f"{path}/{task_id}", headers=headers(world))


def wait(world: Any, task_id: str, path: str = TASK, *, client: Any = None) -> Any:
    """Poll a task until it has ended, and return the last response."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = poll(world, task_id, path, client=client)
        if answer.json()["data"]["task_status"] != "running":
            return answer
        assert time.monotonic() < deadline, "the task did not finish"
        time.sleep(0.01)


def delete(world: Any, body: Mapping[str, Any]) -> Any:
    return world.client.post(DELETE, json=body, headers=headers(world))


def listed(world: Any, state: str) -> Any:
    world.control.list_credential(world.key, state)
    return create(world, NOWHERE)


def too_often(world: Any) -> Any:
    return [world.strict.get(COST, headers=headers(world)) for _ in range(6)][-1]


def timed_out(world: Any) -> Any:
    world.control.set_progression("manual")
    task_id = task_id_of(create(world, NOWHERE))
    world.control.advance(30 * 86400)
    return poll(world, task_id)


def still_running(world: Any) -> Any:
    world.control.set_progression("manual")
    return delete(world, {"task_id": task_id_of(create(world, NOWHERE))})


def of_another_kind(world: Any) -> Any:
    return delete(world, {"task_id": task_id_of(create(world, NOWHERE, PRE_PROCESS))})


def defect(world: Any) -> Any:
    with world.failing(operations, "check_features"):
        return create(world, NOWHERE, client=world.strict)


def engine(world: Any, data: bytes, **body: Any) -> Any:
    return wait(world, task_id_of(create(world, {"src_file_id": upload(world, data), **body})))


def face(world: Any, name: str, **body: Any) -> Any:
    return engine(world, world.face(name), **body)


def defect_of_the_engine(world: Any) -> Any:
    with world.failing(Engine, "_read_picture"):
        task_id = task_id_of(create(world, NOWHERE, client=world.strict))
        return wait(world, task_id, client=world.strict)


def put(world: Any, *, query: str | None = None, **changed: Any) -> Any:
    """Return the response to an upload with another query or other headers than the registered ones."""
    request = register(world)["requests"][0]
    url = request["url"] if query is None else request["url"].partition("?")[0] + query
    return world.client.put(url, headers={**request["headers"], **changed}, content=bytes(10))


def expired(world: Any) -> Any:
    request = register(world)["requests"][0]
    world.control.advance(7200)
    return world.client.put(request["url"], headers=request["headers"], content=bytes(10))


def of_unknown_length(world: Any) -> Any:
    url = register(world)["requests"][0]["url"]
    return world.client.put(url, headers={"Content-Type": "image/jpeg"}, content=iter([bytes(10)]))


def paused(world: Any) -> Any:
    """Return the response to an upload with a pause. Only a real server receives a body with a pause."""

    def slowly() -> Iterator[bytes]:
        yield bytes(5)
        time.sleep(1)
        yield bytes(5)

    settings = Settings(workers=1, vendors={"perfectcorp": {"upload_pause_s": 0.2}})
    with running_server(settings) as server, httpx.Client(base_url=server.base_url) as client:
        request = register(world, client=client)["requests"][0]
        return client.put(request["url"], headers=request["headers"], content=slowly())


def without_length(world: Any) -> Any:
    request = world.client.build_request("PUT", register(world)["requests"][0]["url"])
    del request.headers["content-length"]
    return world.client.send(request)


def result(world: Any) -> tuple[str, str]:
    """Return the id of a new task and the URL of its result."""
    task_id = task_id_of(create(world, {"src_file_id": upload(world, world.face("ok-frontal"))}))
    return task_id, str(wait(world, task_id).json()["data"]["results"]["url"])


def deleted(world: Any) -> Any:
    task_id, url = result(world)
    delete(world, {"task_id": task_id})
    return world.client.get(url)


def download_result(world: Any, **given: str) -> Any:
    return world.client.get(result(world)[1], headers=given)


def of_method(world: Any, method: str) -> Any:
    return world.client.request(method, register(world)["requests"][0]["url"])


def defect_of_the_store(world: Any) -> Any:
    with world.failing(store, "verify"):
        return world.strict.get("/yce-us/ttl30/a.jpg")


def jpeg(width: int, height: int) -> bytes:
    written = io.BytesIO()
    PillowImage.new("RGB", (width, height), "grey").save(written, "JPEG")
    return written.getvalue()


NATURAL: Mapping[str, Callable[[Any], Any]] = {
    "InvalidApiKey": lambda world: world.client.post(FILE, json={}),
    "InactiveApiKey": partial(listed, state="revoked"),
    "ExpiredApiKey": partial(listed, state="expired"),
    "InvalidAccessToken": lambda world: world.client.get(CREDIT),
    "InvalidAuthentication": lambda world: world.client.post(
        AUTH, json={"client_id": world.key, "id_token": "corrupt"}
    ),
    "TooManyRequests": too_often,
    "NotFound": lambda world: world.client.get("/s2s/v2.0/nothing"),
    "MethodNotAllowed": lambda world: world.client.get(TASK, headers=headers(world)),
    "InvalidParameters": partial(create, source={}),
    "UnresolvableFile": partial(create, source={"src_file_id": "unknown"}),
    "FileNotUploaded": lambda world: create(world, {"src_file_id": register(world)["file_id"]}),
    "FileNotUploaded404": lambda world: create(
        world, {"src_file_id": register(world, client=world.strict)["file_id"]}, client=world.strict
    ),
    "CreditInsufficiency": partial(listed, state="no_balance"),
    "TaskTimeout": timed_out,
    "DeleteWithoutTaskId": partial(delete, body={}),
    "DeleteUnknownTask": partial(delete, body={"task_id": "unknown"}),
    "OperationInvalid": still_running,
    "OperationNotSupport": of_another_kind,
    "InvalidTaskId": partial(poll, task_id="unknown"),
    "InternalError": defect,
    "error_no_face": partial(face, name="no-face"),
    "error_pose": partial(face, name="turned-45"),
    "invalid_parameter": partial(face, name="ok-frontal", index=1),
    "error_decode_image": partial(engine, data=b"no picture"),
    "error_download_image": lambda world: wait(world, task_id_of(create(world, NOWHERE))),
    "exceed_max_filesize": partial(engine, data=jpeg(4097, 300)),
    "unknown_internal_error": defect_of_the_engine,
    "TwoAuthMechanisms": lambda world: put(world, Authorization="Bearer x"),
    "NotSigned": partial(put, query=""),
    "BadSignature": partial(put, query="?X-Amz-Signature=forged"),
    "SignatureExpired": expired,
    "HeadersNotSigned": lambda world: put(world, **{"x-amz-acl": "private"}),
    "StoreNotImplemented": of_unknown_length,
    "MissingContentLength": without_length,
    "EntityTooLarge": lambda world: world.strict.put("/yce-us/ttl30/a.jpg", content=bytes(2**20 + 1)),
    "RequestTimeout": paused,
    "InvalidDigest": lambda world: put(world, **{"Content-MD5": "invalid"}),
    "PreconditionFailed": lambda world: download_result(world, **{"If-Match": '"other"'}),
    "InvalidRange": lambda world: download_result(world, Range="bytes=99999999-"),
    "NoSuchKey": deleted,
    "StoreError": defect_of_the_store,
    "StoreMethodNotAllowed": partial(of_method, method="POST"),
    "StoreBadRequest": partial(of_method, method="OPTIONS"),
}


def upload_call(world: Any, **given: str) -> Any:
    request = register(world)["requests"][0]
    return world.client.put(request["url"], headers={**request["headers"], **given}, content=bytes(10))


def download(world: Any, **given: str) -> Any:
    """Download a registered file. It belongs to a key even before it is uploaded."""
    return world.client.get(register(world)["requests"][0]["url"], headers=given)


CALLS: Mapping[str, Callable[..., Any]] = {"upload": upload_call, "download": download}
"""Calls in place of the examples that do not get as far as the check of the key."""

WITHOUT_CREDENTIAL: frozenset[str] = frozenset()
"""Operations without a credential: none."""


def flow(world: Any, operation: str, **given: str) -> Any:
    """Create a task with additional headers, and return the first poll after its end."""
    path = {"create_reshape": TASK, "create_pre_process": PRE_PROCESS}[operation]
    body = {**BODY, "src_file_id": upload(world, b"no picture, and nobody will look")}
    created = world.client.post(path, json=body, headers={**headers(world), **given})
    assert created.status_code == 200, created.text
    return wait(world, task_id_of(created), path)


def accounts(world: Any) -> tuple[Any, Any]:
    """Return the units and the unit history of the key."""
    credit, history = (world.client.get(path, headers=headers(world)) for path in (CREDIT, HISTORY))
    return [grant["amount"] for grant in credit.json()["results"]], history.json()["result"]["history"]


def outcome(client: Any, key: str, data: bytes) -> str:
    """Return ``success`` or the vendor's error for a photo."""
    bearer = {"Authorization": f"Bearer {key}"}
    new = {"content_type": "image/jpg", "file_name": "face.jpg", "file_size": len(data)}
    file = client.post(FILE, json={"files": [new]}, headers=bearer).json()["data"]["files"][0]
    upload = file["requests"][0]
    client.put(upload["url"], headers=upload["headers"], content=data).raise_for_status()
    body = {**BODY, "src_file_id": file["file_id"], "features": {"eye_size": 60}}
    task_id = task_id_of(client.post(TASK, json=body, headers=bearer))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        task = client.get(f"{TASK}/{task_id}", headers=bearer).json()["data"]
        if task["task_status"] != "running":
            return str(task["error"]) if task["task_status"] == "error" else "success"
        assert time.monotonic() < deadline, "the task did not finish"
        time.sleep(0.01)


PICTURE_FAULTS: Mapping[str, str] = {
    "picture-truncated": "error_decode_image",
    "picture-rotated": "error_no_face",
    "picture-shrunk": "success",
    "picture-without-exif": "success",
    "picture-channels-swapped": "success",
}

_KEY = {"headers": {"Authorization": "Bearer k"}}

LAYERS: Sequence[tuple[str, Mapping[str, Any]]] = (
    (TASK, {"json": {}}),
    (TASK, {"json": {}, **_KEY}),
    (TASK, {"content": bytes(2_000_000), **_KEY}),
    ("/yce-us/ttl30/a.jpg", {}),
)


def failed(entry: Any) -> dict[str, Any]:
    """Return the body of a poll of a task that failed with the error ``entry``."""
    told = {
        "error": entry.codes[0], "error_message": entry.text, "results": None, "task_status": "error",
    }  # fmt: skip
    return {"status": 200, "data": told}


NOTHING_BILLED: tuple[list[int], list[Any]] = ([1000], [])
"""The value of ``accounts`` if nothing was billed."""

_ENDPOINT = {
    "url": "http://127.0.0.1:9/hook",
    "secret": f"whsec_{'A' * 32}",
    "credential": "me",
    "timestamps": "clock",
}

SCHEMATHESIS = """
[[operations]]
include-path = "/yce-us/{key}"
checks.unsupported_method.enabled = false
"""
"""A DELETE without a valid signature returns 403, not the 405 that Schemathesis expects."""

STRICT: Mapping[str, Any] = {
    "rate_limit": True, "missing_upload_status": 404, "file_bytes": 2**20, "video_bytes": 2**20,
}  # fmt: skip

SETTINGS: Mapping[str, Any] = {
    "errors": {"TooManyRequests": {"status": 418, "text": "no"}},
    "prices": {"unit": {"amount": "0.02", "currency": "EUR"}},
    "file_bytes": 1234, "video_bytes": 2345, "most_files": 3, "upload_pause_s": 1.5, "longest_side": 5000,
    "face_fraction": 0.25,
    "face_angle_deg": 12.5, "download_timeout_s": 0.5, "url_seconds": 60, "file_days": 0.5,
    "task_days": 1.0, "task_timeout_s": 2.5, "unpolled_expiry_s": 10.0, "engine_codes": "page",
    "missing_upload_status": 404, "units": 7, "units_days": 1.5, "reshape_units": 2,
    "pre_process_units": 1, "polls_per_second": 9, "rate_limit": True, "webhook_endpoints": [_ENDPOINT],
    "webhook_tasks": ["face-reshape"], "webhook_gaps_s": [0.0, 1.5], "webhook_timeout_s": 2.5,
}  # fmt: skip
