"""Data of MetaHuman SDK for the conformance tests (``tests/vendor_data.py`` explains it)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from emulator.drift.samples import picture
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


GLB = "/glb_const"
MODEL = picture("model.glb")
HEAD = picture("head.json")
MODELS = b'{"hair": ["hair_01"]}'


def status(world: Any, state: str) -> Any:
    world.control.list_credential(world.key, state)
    return world.client.post(f"{GLB}/status", data={"token": world.key})


def put_schema(world: Any, schema: bytes = b'{"hair": ["hair_01", "hair_02"]}', **headers: str) -> Any:
    files = {"schema": schema}
    return world.client.put(f"{GLB}/schema", data={"token": world.key}, files=files, headers=headers)


def put_model(world: Any, data: bytes = MODEL, *, loaded: bool = True, **fields: str) -> Any:
    if loaded:
        put_schema(world)
    checksum = hashlib.sha256(data).hexdigest()
    known = {"token": world.key, "sha256": checksum, "data_type": "hair", "data_id": "hair_01"}
    return world.client.put(f"{GLB}/glb", data=known | fields, files={"data": data})


def assemble(world: Any, **files: Any) -> Any:
    put_model(world)
    sent = {"head_uv": picture("ok-frontal.jpg"), "head_config": HEAD, "models_congig": MODELS} | files
    return world.client.post(f"{GLB}/assemble", data={"token": world.key}, files=sent)


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
    "AUTHORIZATION_FAIL": partial(status, state="revoked"),
    "GLB_INTERNAL_ERROR": lambda world: world.client.post(f"{GLB}/status", content=bytes(2_000_000)),
    "SCHEMA_NOT_LOADED": partial(put_model, loaded=False),
    "INVALID_CHECKSUM": partial(put_model, sha256="0"),
    "INVALID_MODEL_TYPE": partial(put_model, data_type="legs"),
    "INVALID_MODEL_ID": partial(put_model, data_id="hair_03"),
    "NOT_GLB": partial(put_model, data=b"no model"),
    "MODEL_LOAD_FAIL": partial(put_model, data=MODEL[:-1]),
    "INVALID_HEAD_CONFIG": partial(assemble, head_config=b"[]"),
    "INVALID_MODELS_CONFIG": partial(assemble, models_congig=b'{"hair": ["hair_01", "hair_02"]}'),
    "TYPE_NOT_IN_SCHEMA": partial(assemble, models_congig=b'{"legs": ["legs_01"]}'),
    "MODEL_NOT_LOADED": partial(assemble, models_congig=b'{"hair": ["hair_02"]}'),
    "INVALID_HEAD_UV": partial(assemble, head_uv=b"no picture"),
    "HEAD_UV_TOO_LARGE": partial(assemble, head_uv=bytes(2 * 1024 * 1024)),
    "CUSTOM_MODEL_TOO_LARGE": partial(assemble, custom_models=bytes(50 * 1024 * 1024)),
    "INVALID_CUSTOM_MODEL": partial(assemble, custom_models=MODEL[:-1]),
    "INVALID_HEAD_FIELDS": partial(assemble, head_config=b'{"face": {}, "skin": {}}'),
    "MISSING_SCHEMA": partial(put_schema, schema=b""),
    "SCHEMA_ERROR": partial(put_schema, schema=b"[]"),
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
    (f"{GLB}/schema", {"data": {"token": "t"}}),
    (f"{GLB}/status", {"content": bytes(2_000_000)}),
)

STRICT: Mapping[str, Any] = {}

SETTINGS: Mapping[str, Any] = {
    "errors": {"FILE_TOO_LARGE": {"status": 418, "text": "no"}},
    "prices": {"run_pipeline": {"amount": "0.02", "currency": "EUR"}},
    "texture_size": 512, "gender": "female", "image_bytes": 1234, "model_response": "url",
    "head_uv_bytes": 1235, "custom_model_bytes": 1236, "model_bytes": 1237, "assemble_bytes": 1238,
}  # fmt: skip
