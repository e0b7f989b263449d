"""Data of Face++ for the conformance tests (``tests/vendor_data.py`` explains it)."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from PIL import Image as PillowImage

from emulator.vendors.faceplusplus import auth

URL = "/facepp/v1/3dface"


def jpeg(width: int, height: int) -> bytes:
    written = io.BytesIO()
    PillowImage.new("RGB", (width, height), "grey").save(written, "JPEG")
    return written.getvalue()


def post(
    world: Any, data: Mapping[str, str] | None = None, file: bytes | None = None, *, client: Any = None
) -> Any:
    fields = {"api_key": world.key, "api_secret": "s", **(data or {})}
    files = None if file is None else {"image_file_1": ("a.jpg", file, "image/jpeg")}
    return (client or world.client).post(URL, data=fields, files=files)


def free(world: Any) -> Any:
    fields = {"api_key": world.key, "api_secret": "s", "calculate_all": "1"}
    files = {"image_file": ("a.jpg", b"x", "image/jpeg")}
    return world.strict.post("/facepp/v3/detect", data=fields, files=files)


def unknown_token(world: Any) -> Any:
    fields = {"api_key": world.key, "api_secret": "s", "face_token": "0" * 32, "return_landmark": "all"}
    return world.client.post("/facepp/v1/face/thousandlandmark", data=fields)


def listed(world: Any, state: str) -> Any:
    world.control.list_credential(world.key, state)
    return post(world)


def face(world: Any, name: str) -> Any:
    return post(world, file=world.face(name))


def too_often(world: Any) -> Any:
    post(world, client=world.strict)
    return post(world, client=world.strict)


def too_slow(world: Any) -> Any:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg"
        return post(world, {"image_url_1": url}, client=world.strict)


def defect(world: Any) -> Any:
    with world.failing(auth, "authenticate"):
        return post(world, client=world.strict)


NATURAL: Mapping[str, Callable[[Any], Any]] = {
    "REQUEST_ENTITY_TOO_LARGE": lambda world: world.client.post(URL, content=bytes(3_000_000)),
    "API_NOT_FOUND": lambda world: world.client.post("/facepp/nothing"),
    "METHOD_NOT_ALLOWED": lambda world: world.client.get(URL),
    "MISSING_CREDENTIAL": lambda world: world.client.post(URL),
    "AUTHENTICATION_ERROR": partial(listed, state="expired"),
    "DENIED_BY_CLIENT": partial(listed, state="restricted"),
    "DENIED_BY_ADMIN": partial(listed, state="revoked"),
    "INSUFFICIENT_BALANCE": partial(listed, state="no_balance"),
    "CONCURRENCY_LIMIT_EXCEEDED": too_often,
    "MISSING_ARGUMENTS": post,
    "BAD_ARGUMENTS": partial(post, data={"texture": "2"}, file=b"x"),
    "INVALID_IMAGE_URL": partial(post, data={"image_url_1": "nonsense"}),
    "IMAGE_DOWNLOAD_TIMEOUT": too_slow,
    "IMAGE_ERROR_UNSUPPORTED_FORMAT": partial(post, file=b"no picture"),
    "IMAGE_FILE_TOO_LARGE": lambda world: post(world, file=bytes(2000), client=world.strict),
    "INVALID_IMAGE_SIZE": partial(post, file=jpeg(199, 400)),
    "NO_FACE_FOUND": partial(face, name="no-face"),
    "MULTIPLE_FACE_FOUND": partial(face, name="two-faces"),
    "INSUFFICIENT_PERMISSION": free,
    "INVALID_FACE_TOKEN": unknown_token,
    "INTERNAL_ERROR": defect,
}


CALLS: Mapping[str, Callable[..., Any]] = {}
"""No calls are needed, because the examples of the operations get as far as the check of the key."""

WITHOUT_CREDENTIAL: frozenset[str] = frozenset()
"""Operations without a credential: none."""


def outcome(client: Any, key: str, data: bytes) -> str:
    """Return ``success`` or the vendor's error for a photo."""
    files = {"image_file_1": ("face.jpg", data, "image/jpeg")}
    answer = client.post(URL, data={"api_key": key, "api_secret": "s"}, files=files)
    return "success" if answer.status_code == 200 else str(answer.json()["error_message"])


PICTURE_FAULTS: Mapping[str, str] = {
    "picture-truncated": "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file_1",
    "picture-rotated": "NO_FACE_FOUND: image_file_1",
    "picture-shrunk": "INVALID_IMAGE_SIZE: image_file_1",
    "picture-without-exif": "success",
    "picture-channels-swapped": "success",
}

LAYERS: Sequence[tuple[str, Mapping[str, Any]]] = (
    (URL, {"data": {"api_key": "k"}}),
    (URL, {"data": {"api_key": "k", "api_secret": "s"}}),
    (URL, {"content": bytes(3_000_000)}),
    ("/facepp/nothing", {}),
)

STRICT: Mapping[str, Any] = {
    "qps": 1, "image_bytes": 1000, "download_timeout_s": 0.05, "key_kind": "free",
}  # fmt: skip

SETTINGS: Mapping[str, Any] = {
    "errors": {"API_NOT_FOUND": {"status": 418, "text": "no"}},
    "prices": {"3dface": {"amount": "0.02", "currency": "EUR"}},
    "texture_size": 512, "shortest_side": 10, "longest_side": 5000, "image_bytes": 1234,
    "body_bytes": 2345, "absent_members": "null", "qps": 3, "download_timeout_s": 0.5,
    "key_kind": "free", "shortest_detect_side": 20, "face_token_hours": 1.5,
    "shortest_dense_side": 30, "shortest_dense_face": 40,
    "shortest_features_side": 50,
    "beautify_body_bytes": 3456,
}  # fmt: skip
