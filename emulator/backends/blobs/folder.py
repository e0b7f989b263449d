"""Blobs as files below one folder: the embedded adapter."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import anyio.to_thread


class FolderBlobs:
    """Blobs in a folder.

    A file's name is the hash of its key: no key, however it is spelled, can name a file outside
    the folder, and two keys that differ only in case stay two files on every file system.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, data: bytes) -> None:
        """Store ``data`` under ``key``, in place of what was there."""
        await anyio.to_thread.run_sync(_write, self._path(key), data)

    async def get(self, key: str) -> bytes | None:
        """Return the bytes under ``key``, or None."""
        return await anyio.to_thread.run_sync(_read, self._path(key))

    async def exists(self, key: str) -> bool:
        """Return whether there are bytes under ``key``."""
        return await anyio.to_thread.run_sync(self._path(key).exists)

    async def delete(self, key: str) -> bool:
        """Delete the bytes under ``key``, and return whether there were any."""
        return await anyio.to_thread.run_sync(_delete, self._path(key))

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / name


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and renamed, so that nobody reads half a blob.
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _delete(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
