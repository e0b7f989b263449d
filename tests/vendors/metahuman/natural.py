"""Data of MetaHuman SDK for the conformance tests (``tests/vendor_data.py`` explains it)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from emulator.vendors.metahuman.face_recon import operations

URL = "/face_recon/run_pipeline"
HAIR_URL = "/hair_recon/run_pipeline"


def post(world: Any, photo: bytes = b"", *, client: Any = None, **headers: str) -> Any:
    files = {"image_bytes": ("a.jpg", photo)}
    return (client or world.client).post(URL, data={"token": world.key}, files=files, headers=headers)


def post_hair(world: Any, **fields: str) -> Any:
    files = {"image_bytes": ("a.jpg", b"")}
    return world.client.post(HAIR_URL, data={"token": world.key, **fields}, files=files)


def listed(world: Any, state: str) -> Any:
    world.control.list_credential(world.key, state)
    return post(world)


def defect(world: Any) -> Any:
    with world.failing(operations, "authenticate"):
        return post(world, client=world.strict)


NATURAL: Mapping[str, Callable[[Any], Any]] = {
    "UNREGISTERED_TOKEN": partial(listed, state="other_region"),
    "FAIL_AUTHORIZATION": partial(listed, state="revoked"),
    "FILE_TOO_LARGE": partial(post, photo=bytes(10 * 1024 * 1024)),
    "FACE_NOT_FOUND": lambda world: post(world, world.face("no-face")),
    "FILE_CORRUPTED": partial(post, photo=b"no picture"),
    "EMPTY_IMAGE": post,
    "INTERNAL_ERROR": defect,
    "WRONG_HAIR_MODE": partial(post_hair, mode="cards"),
    "WRONG_HEX": partial(post_hair, hair_color="#12345"),
}


def static(world: Any, **headers: str) -> Any:
    return world.client.get("/static/nothing.png", headers=headers)


CALLS: Mapping[str, Callable[..., Any]] = {"static": static}
"""Calls in place of the examples that do not get as far as the check of the token."""

WITHOUT_CREDENTIAL: frozenset[str] = frozenset({"token", "static"})
"""Operations without a credential. A texture that does not exist belongs to no token."""


def outcome(client: Any, key: str, data: bytes) -> str:
    """Return ``success`` or the vendor's error for a photo."""
    answer = client.post(URL, data={"token": key}, files={"image_bytes": ("face.jpg", data)})
    return "success" if answer.status_code == 200 else str(answer.json()["error"]["message"])


PICTURE_FAULTS: Mapping[str, str] = {
    "picture-truncated": "file corrupted",
    "picture-rotated": "face not found",
    "picture-shrunk": "success",
    "picture-without-exif": "success",
    "picture-channels-swapped": "success",
}

LAYERS: Sequence[tuple[str, Mapping[str, Any]]] = (
    (URL, {"data": {"token": "t"}, "files": {"image_bytes": b""}}),
    (URL, {"content": bytes(12_000_000)}),
    (HAIR_URL, {"data": {"token": "t", "mode": "cards"}, "files": {"image_bytes": b""}}),
)

STRICT: Mapping[str, Any] = {}

SETTINGS: Mapping[str, Any] = {
    "errors": {"FILE_TOO_LARGE": {"status": 418, "text": "no"}},
    "prices": {"run_pipeline": {"amount": "0.02", "currency": "EUR"}},
    "texture_size": 512, "gender": "female", "image_bytes": 1234, "hair_response": "url",
}  # fmt: skip
