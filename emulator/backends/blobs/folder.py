"""``FolderBlobs``, which stores blobs as files in a folder."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread

from emulator.backends.blobs.protocol import BlobKey
from emulator.backends.private import make_private_folder
from emulator.backends.unavailable import store_errors

logger = logging.getLogger(__name__)

LONGEST_HEAD = 8 * 1024 * 1024
"""Longest first line of a file, in bytes. A key can contain a credential of any length."""

CHECK_BYTES = 64 * 1024
"""Number of bytes to write in a check."""

UNFINISHED = ".part"
"""Suffix of files that are still being written."""

SMALL_BYTES = 1024 * 1024
"""Largest blob whose bytes are kept in memory."""

MOST_KEPT = 1000
"""Number of blobs that are kept in memory."""

MOST_BYTES = 8 * 1024 * 1024
"""Total size of the blobs that are kept in memory."""

NAME = re.compile(r"[0-9a-f]{64}")
"""Pattern of the names of the blobs' files."""


Stamp = tuple[int, int, int]
"""Identifies the content of a file: its inode, the time of its last change, and its size."""


@dataclass(frozen=True)
class _Kept:
    """A blob that was written or read last. ``data`` is None if the blob is not small."""

    path: str
    stamp: Stamp
    credential: str
    data: bytes | None


class FolderBlobs:
    """Blobs as files in a folder.

    The name of a file is the hash of the blob's key. A key therefore cannot refer to a file outside the
    folder, and keys that differ only in case have different files on every file system. The first line of a
    file contains the key and the credential as JSON. So the key, the credential and the bytes change in one
    atomic write.

    The credentials and the bytes of small blobs that were written or read last are kept in memory, because a
    picture is read soon after its upload, and a thread takes longer than the read. They are used only if the
    file has not changed. The event loop asks the file system for this, which must be fast, because a database
    is in the same folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._recent: OrderedDict[str, _Kept] = OrderedDict()
        self._recent_bytes = 0
        self._writing: set[asyncio.Task[Stamp]] = set()

    async def open(self) -> None:
        """Create the folder, and delete incomplete files that killed processes left. Must be called first."""
        # Not in a thread of anyio, whose first one delays the start: it imports anyio's backend.
        await asyncio.to_thread(_delete_unfinished, self._folder)

    async def put(self, key: str, data: bytes, credential: str) -> None:
        """Store ``data`` under ``key`` for ``credential``, and replace any existing blob under ``key``."""
        # A thread cannot be cancelled, so ``forget`` waits for the writes that are still running.
        head = json.dumps({"key": key, "credential": credential}).encode() + b"\n"
        path = self._path(key)
        writing = asyncio.create_task(anyio.to_thread.run_sync(_write, path, head, data))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        with store_errors():
            stamp = await asyncio.shield(writing)
        self._keep(key, _Kept(str(path), stamp, credential, data))

    async def get(self, key: str) -> bytes | None:
        """Return the bytes under ``key``, or None."""
        kept = self._kept(key)
        if kept is not None and kept.data is not None:
            return kept.data
        with store_errors():
            found = await anyio.to_thread.run_sync(_read, self._path(key))
        if found is None:
            return None
        self._keep(key, found)
        return found.data

    async def credential_of(self, key: str) -> str | None:
        """Return the credential that the blob under ``key`` belongs to, or None if there is no blob."""
        kept = self._kept(key)
        if kept is not None:
            return kept.credential
        with store_errors():
            head = await anyio.to_thread.run_sync(_read_head, self._path(key))
        return None if head is None else head.credential

    async def exists(self, key: str) -> bool:
        """Return whether there is a blob under ``key``."""
        return await self.credential_of(key) is not None

    async def delete(self, key: str) -> bool:
        """Delete the blob under ``key``, and return whether it existed."""
        with store_errors():
            return await anyio.to_thread.run_sync(_delete, self._path(key))

    async def keys(self, credential: str | None = None) -> list[BlobKey]:
        """Return the keys of ``credential``, or all keys if it is None, in sorted order."""
        with store_errors():
            return await anyio.to_thread.run_sync(_keys, self._folder, credential)

    async def forget(self, credential: str | None) -> None:
        """Delete the blobs of ``credential``, or all blobs if it is None."""
        if self._writing:
            await asyncio.wait(set(self._writing))
        if credential is None:
            with store_errors():
                await anyio.to_thread.run_sync(_delete_all, self._folder)
            return
        for found in await self.keys(credential):
            await self.delete(found.key)

    async def check(self) -> None:
        """Write a file, and delete it."""
        with store_errors():
            await anyio.to_thread.run_sync(_check, self._folder)

    def _path(self, key: str) -> Path:
        name = _name(key)
        return self._folder / name[:2] / name

    def _keep(self, key: str, kept: _Kept) -> None:
        """Keep a blob in memory, and drop the oldest ones if there are too many."""
        self._drop(key)
        if kept.data is not None and len(kept.data) > SMALL_BYTES:
            kept = replace(kept, data=None)
        self._recent[key] = kept
        self._recent_bytes += len(kept.data or b"")
        while len(self._recent) > MOST_KEPT or self._recent_bytes > MOST_BYTES:
            self._drop(next(iter(self._recent)))

    def _drop(self, key: str) -> None:
        kept = self._recent.pop(key, None)
        if kept is not None:
            self._recent_bytes -= len(kept.data or b"")

    def _kept(self, key: str) -> _Kept | None:
        """Return a blob from memory, or None if it is not there, or its file was changed or deleted."""
        kept = self._recent.get(key)
        if kept is None:
            return None
        try:
            is_same = _stamp(os.stat(kept.path)) == kept.stamp  # noqa: PTH116 - a Path would take as long again
        except OSError:
            is_same = False
        if not is_same:
            self._drop(key)
            return None
        self._recent.move_to_end(key)
        return kept


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _write(path: Path, head: bytes, data: bytes) -> Stamp:
    """Write a file, and return its stamp."""
    # Write to a temporary file and rename it, so that no reader sees an incomplete blob.
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=UNFINISHED)
    except FileNotFoundError:  # the first blob in this folder
        make_private_folder(path.parent)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(head)
            file.write(data)
            file.flush()
            stamp = _stamp(os.fstat(file.fileno()))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return stamp


def _read(path: Path) -> _Kept | None:
    try:
        with path.open("rb") as file:
            stamp = _stamp(os.fstat(file.fileno()))
            head = _head(path, file.readline(LONGEST_HEAD))
            return None if head is None else _Kept(str(path), stamp, head.credential, file.read())
    except FileNotFoundError:
        return None


def _read_head(path: Path) -> BlobKey | None:
    try:
        with path.open("rb") as file:
            return _head(path, file.readline(LONGEST_HEAD))
    except FileNotFoundError:
        return None


def _head(path: Path, line: bytes) -> BlobKey | None:
    """Return the head of a blob, or None if the file is damaged. A damaged blob counts as missing."""
    try:
        found = json.loads(line)
        key, credential = found["key"], found["credential"]
        is_whole = path.name == _name(key) and isinstance(credential, str)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        is_whole = False
    if not is_whole:
        logger.warning("%s is not a blob, or it is damaged; it is ignored", path)
        return None
    return BlobKey(key, credential)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _keys(folder: Path, credential: str | None) -> list[BlobKey]:
    # A file that is deleted during the loop has no head.
    heads = (_read_head(path) for path in _files(folder) if path.suffix != UNFINISHED)
    found = (head for head in heads if head is not None and credential in {None, head.credential})
    return sorted(found, key=lambda head: head.key)


def _delete(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _delete_all(folder: Path) -> None:
    """Delete all blobs, including damaged ones."""
    for path in _files(folder):
        path.unlink(missing_ok=True)


def _check(folder: Path) -> None:
    """Write and delete a file of ``CHECK_BYTES``."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(CHECK_BYTES))
        file.flush()


def _delete_unfinished(folder: Path) -> None:
    # Create the folder now, so that a missing permission is reported at startup.
    make_private_folder(folder)
    for path in _files(folder):
        if path.suffix == UNFINISHED:
            path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    # Ignore files of other programs, such as thumbnails and desktop settings.
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        if path.suffix == UNFINISHED or NAME.fullmatch(path.name):
            yield path
