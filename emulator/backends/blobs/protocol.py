"""The protocol for storing blobs, for example in a file system or an object store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class BlobKey:
    """A blob's key, and the credential that the blob belongs to."""

    key: str
    credential: str


class Blobs(Protocol):
    """Stores bytes under keys such as ``perfectcorp/results/abc``. Writes are atomic.

    Each blob belongs to a credential, or to none (""). Keys are unique across all credentials. A damaged blob
    counts as missing. If the disk is full or fails, or the store is down, StoreUnavailable is raised.
    """

    async def put(self, key: str, data: bytes, credential: str) -> None:
        """Store ``data`` under ``key`` for ``credential``, and replace any existing blob under ``key``."""

    async def get(self, key: str) -> bytes | None:
        """Return the bytes under ``key``, or None."""

    async def credential_of(self, key: str) -> str | None:
        """Return the credential that the blob under ``key`` belongs to, or None if there is no blob."""

    async def exists(self, key: str) -> bool:
        """Return whether there is a blob under ``key``."""

    async def delete(self, key: str) -> bool:
        """Delete the blob under ``key``, and return whether it existed."""

    async def keys(self, credential: str | None = None) -> list[BlobKey]:
        """Return the keys of ``credential``, or all keys if it is None, in sorted order."""

    async def forget(self, credential: str | None) -> None:
        """Delete the blobs of ``credential``, or all blobs if it is None.

        This includes blobs that are still being written after the caller of ``put`` was cancelled. If
        ``credential`` is None, damaged blobs are deleted, too.
        """

    async def check(self) -> None:
        """Check that blobs can be written."""
