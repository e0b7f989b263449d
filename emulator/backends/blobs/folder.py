"""Blobs as files below one folder: the embedded adapter."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio.to_thread

from emulator.backends.blobs.protocol import BlobKey

UNFINISHED = ".part"
"""How the name of a file ends that is still being written."""

NAME = re.compile(r"[0-9a-f]{64}")
"""How a blob's file is called."""


class FolderBlobs:
    """Blobs in a folder.

    A file's name is the hash of its key: no key, however it is spelled, can name a file outside
    the folder, and two keys that differ only in case stay two files on every file system. Its first
    line says as JSON which key that is and whose, so that both change in the same moment as the bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Delete what writers left that were killed; comes before every other call."""
        await anyio.to_thread.run_sync(_delete_unfinished, self._folder)

    async def put(self, key: str, data: bytes, credential: str) -> None:
        """Store ``data`` under ``key``, in place of what was there; it belongs to ``credential``."""
        # A thread cannot be cancelled: who clears has to know what is still on its way to the disk.
        head = json.dumps({"key": key, "credential": credential}).encode() + b"\n"
        writing = asyncio.create_task(anyio.to_thread.run_sync(_write, self._path(key), head, data))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        await asyncio.shield(writing)

    async def get(self, key: str) -> bytes | None:
        """Return the bytes under ``key``, or None."""
        return await anyio.to_thread.run_sync(_read, self._path(key))

    async def credential_of(self, key: str) -> str | None:
        """Return whose the bytes under ``key`` are, or None if there are none."""
        head = await anyio.to_thread.run_sync(_read_head, self._path(key))
        return None if head is None else head.credential

    async def exists(self, key: str) -> bool:
        """Return whether there are bytes under ``key``."""
        return await anyio.to_thread.run_sync(self._path(key).exists)

    async def delete(self, key: str) -> bool:
        """Delete the bytes under ``key``, and return whether there were any."""
        return await anyio.to_thread.run_sync(_delete, self._path(key))

    async def keys(self, credential: str | None = None) -> list[BlobKey]:
        """Return the keys of a credential, or all there are, sorted by key."""
        return await anyio.to_thread.run_sync(_keys, self._folder, credential)

    async def forget(self, credential: str | None) -> None:
        """Delete all bytes of a credential, or all there are."""
        if self._writing:
            await asyncio.wait(set(self._writing))
        for found in await self.keys(credential):
            await self.delete(found.key)

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / name


def _write(path: Path, head: bytes, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and renamed, so that nobody reads half a blob.
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(head)
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            file.readline()
            return file.read()
    except FileNotFoundError:
        return None


def _read_head(path: Path) -> BlobKey | None:
    try:
        with path.open("rb") as file:
            return BlobKey(**json.loads(file.readline()))
    except FileNotFoundError:
        return None


def _keys(folder: Path, credential: str | None) -> list[BlobKey]:
    # What is deleted meanwhile is not there.
    heads = (_read_head(path) for path in _files(folder) if path.suffix != UNFINISHED)
    found = (head for head in heads if head is not None and credential in {None, head.credential})
    return sorted(found, key=lambda head: head.key)


def _delete(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _delete_unfinished(folder: Path) -> None:
    # Whoever cannot write here hears of it now, and not with the first picture.
    folder.mkdir(parents=True, exist_ok=True)
    for path in _files(folder):
        if path.suffix == UNFINISHED:
            path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    # What others leave in a folder (thumbnails, desktop settings) has other names.
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        if path.suffix == UNFINISHED or NAME.fullmatch(path.name):
            yield path
