"""Data of Example Faces for the conformance tests (``tests/vendor_data.py`` explains it)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from example_vendor.count import operations

COUNT = "/example/v1/count"
CROPS = "/example/v1/crops"
NOWHERE = {"url": "http://127.0.0.1:9/me.jpg"}
PATIENCE_SECONDS = 60


def headers(world: Any) -> dict[str, str]:
    return {"X-Example-Key": world.key}


def count(world: Any, picture: bytes, *, client: Any = None) -> Any:
    return (client or world.client).post(COUNT, content=picture, headers=headers(world))


def revoked(world: Any) -> Any:
    world.control.list_credential(world.key, "revoked")
    return count(world, b"")


def defect(world: Any) -> Any:
    with world.failing(operations, "ImageRules"):
        return count(world, b"", client=world.strict)


def wait(world: Any, crop_id: str) -> Any:
    """Poll a crop until it has ended, and return the last response."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = world.client.get(f"{CROPS}/{crop_id}", headers=headers(world))
        if answer.json()["state"] != "working":
            return answer
        assert time.monotonic() < deadline, "the crop did not finish"
        time.sleep(0.01)


def flow(world: Any, _operation: str, **given: str) -> Any:
    """Create a crop with additional headers, and return the first poll after its end."""
    created = world.client.post(CROPS, json=NOWHERE, headers={**headers(world), **given})
    assert created.status_code == 200, created.text
    return wait(world, created.json()["id"])


NATURAL: Mapping[str, Callable[[Any], Any]] = {
    "bad_key": revoked,
    "no_such_path": lambda world: world.client.get("/example/nothing"),
    "too_large": lambda world: count(world, bytes(2_000_000)),
    "defect": defect,
    "no_picture": partial(count, picture=b"no picture"),
    "nobody": lambda world: count(world, world.face("no-face")),
    "crowd": lambda world: count(world, world.face("crowd")),
    "no_body": lambda world: world.client.post(CROPS, content=b"{", headers=headers(world)),
    "crop_failed": lambda world: flow(world, "create_crop"),
    "unknown_crop": lambda world: world.client.get(f"{CROPS}/unknown", headers=headers(world)),
}

CALLS: Mapping[str, Callable[..., Any]] = {}
"""No calls are needed, because the examples of the operations get as far as the check of the key."""

WITHOUT_CREDENTIAL: frozenset[str] = frozenset()
"""Operations without a credential: none."""


def failed(entry: Any) -> dict[str, Any]:
    """Return the body of a poll of a crop that failed with the error ``entry``."""
    return {"state": "failed", "box": None, "problem": entry.text}


def accounts(world: Any) -> Any:
    """Return the costs of the key."""
    return world.control.costs().operations


NOTHING_BILLED: Sequence[object] = []


def outcome(client: Any, key: str, data: bytes) -> str:
    """Return ``success`` or the vendor's error for a photo."""
    answer = client.post(COUNT, content=data, headers={"X-Example-Key": key})
    return "success" if answer.status_code == 200 else str(answer.json()["problem"])


PICTURE_FAULTS: Mapping[str, str] = {
    "picture-truncated": "no_picture",
    "picture-rotated": "nobody",
    "picture-shrunk": "success",
    "picture-without-exif": "success",
    "picture-channels-swapped": "success",
}

LAYERS: Sequence[tuple[str, Mapping[str, Any]]] = (
    (COUNT, {"content": bytes(2_000_000)}),
    (COUNT, {"content": b"no picture", "headers": {"X-Example-Key": "k"}}),
    (CROPS, {"content": bytes(2000), "headers": {"X-Example-Key": "k"}}),
    ("/example/nothing", {}),
)

STRICT: Mapping[str, Any] = {}

SETTINGS: Mapping[str, Any] = {
    "errors": {"crowd": {"status": 420, "text": "no"}},
    "prices": {"unit": {"amount": "0.02", "currency": "EUR"}},
    "picture_bytes": 1234, "most_faces": 1, "crop_units": 3, "crop_days": 2.5,
}  # fmt: skip
