"""The port for bytes: what a file system or an object store has to do for the emulator."""

from __future__ import annotations

from typing import Protocol


class Blobs(Protocol):
    """Bytes under keys such as ``perfectcorp/results/abc``. A reader sees a blob whole or not at all."""

    async def put(self, key: str, data: bytes) -> None:
        """Store ``data`` under ``key``, in place of what was there."""

    async def get(self, key: str) -> bytes | None:
        """Return the bytes under ``key``, or None."""

    async def exists(self, key: str) -> bool:
        """Return whether there are bytes under ``key``."""

    async def delete(self, key: str) -> bool:
        """Delete the bytes under ``key``, and return whether there were any."""
