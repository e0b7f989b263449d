"""How each error of MetaHuman SDK comes about by itself; ``tests/conformance/test_errors.py`` reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from emulator.vendors.metahuman import routes

URL = "/face_recon/run_pipeline"


def post(world: Any, photo: bytes = b"", *, client: Any = None, **headers: str) -> Any:
    files = {"image_bytes": ("a.jpg", photo)}
    return (client or world.client).post(URL, data={"token": world.key}, files=files, headers=headers)


def listed(world: Any, state: str) -> Any:
    world.control.list_credential(world.key, state)
    return post(world)


def defect(world: Any) -> Any:
    with world.failing(routes, "authenticate"):
        return post(world, client=world.strict)


NATURAL: Mapping[str, Callable[[Any], Any]] = {
    "UNREGISTERED_TOKEN": partial(listed, state="other_region"),
    "FAIL_AUTHORIZATION": partial(listed, state="revoked"),
    "FILE_TOO_LARGE": partial(post, photo=bytes(10 * 1024 * 1024)),
    "FACE_NOT_FOUND": lambda world: post(world, world.face("no-face")),
    "FILE_CORRUPTED": partial(post, photo=b"no picture"),
    "EMPTY_IMAGE": post,
    "INTERNAL_ERROR": defect,
}


def token(world: Any, **headers: str) -> Any:
    return world.client.post("/auth/token", data={"mail": "me"}, headers=headers)


def static(world: Any, **headers: str) -> Any:
    return world.client.get("/static/nothing.png", headers=headers)


CALLS: Mapping[str, Callable[..., Any]] = {"token": token, "run_pipeline": post, "static": static}
"""A call of each operation that gets as far as to say whose it is."""

NOBODYS: frozenset[str] = frozenset({"token", "static"})
"""The operations that know no credential: a texture's is the one that it was made for."""
