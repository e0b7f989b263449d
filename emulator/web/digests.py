"""Digests of bodies, which do not delay other calls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import anyio.to_thread

INLINE_BYTES = 512 * 1024
"""Size up to which a digest is computed in the event loop. It takes less than a millisecond."""


async def digest_of(data: bytes, algorithm: Callable[[bytes], Any]) -> Any:
    """Return ``algorithm(data)``, such as ``hashlib.sha256(data)``. For long data, use a thread."""
    if len(data) <= INLINE_BYTES:
        return algorithm(data)
    return await anyio.to_thread.run_sync(algorithm, data)


async def md5_of(data: bytes) -> Any:
    """Return the MD5 digest of ``data``, with which some vendors identify a picture."""
    return await digest_of(data, _md5)


def _md5(data: bytes) -> Any:
    return hashlib.md5(data, usedforsecurity=False)
