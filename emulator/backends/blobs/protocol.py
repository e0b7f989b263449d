"""The port for bytes: what a file system or an object store has to do for the emulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class BlobKey:
    """A blob's key, and whose the blob is."""

    key: str
    credential: str


class Blobs(Protocol):
    """Bytes under keys such as ``perfectcorp/results/abc``. A reader sees a blob whole or not at all.

    Each belongs to a credential, or to none (""). Keys are unique over all credentials.
    """

    async def put(self, key: str, data: bytes, credential: str) -> None:
        """Store ``data`` under ``key``, in place of what was there; it belongs to ``credential``."""

    async def get(self, key: str) -> bytes | None:
        """Return the bytes under ``key``, or None."""

    async def credential_of(self, key: str) -> str | None:
        """Return whose the bytes under ``key`` are, or None if there are none."""

    async def exists(self, key: str) -> bool:
        """Return whether there are bytes under ``key``."""

    async def delete(self, key: str) -> bool:
        """Delete the bytes under ``key``, and return whether there were any."""

    async def keys(self, credential: str | None = None) -> list[BlobKey]:
        """Return the keys of a credential, or all there are, sorted by key."""

    async def forget(self, credential: str | None) -> None:
        """Delete all bytes of a credential, or all there are.

        What somebody began to store before, and gave up waiting for, is deleted too.
        """
