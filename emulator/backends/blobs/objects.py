"""``ObjectBlobs``, which stores blobs in an object store, such as S3."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import anyio.to_thread

from emulator.backends.blobs.object_layout import (
    BLOBS,
    CHECKS,
    INDEX,
    LONGEST_HEAD,
    NAME,
    USUAL_HEAD,
    entry_path,
    first_line,
    hashed,
    head_of,
    name_of,
    parsed_head,
)
from emulator.backends.blobs.object_store import (
    StoreAddress,
    check_endpoint,
    connect,
    folder_of,
    reason_of,
    require_obstore,
)
from emulator.backends.blobs.protocol import BlobKey
from emulator.backends.unavailable import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from obstore import ObjectMeta
    from obstore.store import ObjectStore

T = TypeVar("T")
V = TypeVar("V")

ANSWER_SECONDS: Final = 5.0
"""Longest time that the store may take to answer, with all tries, in real seconds."""

SLOWEST_BYTES_PER_SECOND: Final = 1_000_000
"""The time limit of a request with a body is extended by the size of the body, divided by this rate."""

MOST_REQUESTS = 64
"""Number of requests that are sent at once. Each has a connection of its own."""

HEADS_AT_ONCE = 32
"""Number of heads to read at once."""

DELETED_AT_ONCE = 250
"""Number of objects to delete in one request."""

LONGEST_WRITE_SECONDS: Final = 3600.0
"""After this time, an index entry without a blob does not belong to a write that is still in progress."""

CHECK_BYTES = 64 * 1024
"""Number of bytes to write in a check."""


class ObjectBlobs:
    """Blobs as objects in S3, Google Cloud Storage, Azure Blob Storage, or in a folder that machines share.

    ::

        blobs/<hash of the key>                           a line with key and credential, then the bytes
        index/<hash of the credential>/<hash of the key>  empty

    The first line of a blob, its head, contains the key and the credential, so that they change with the
    bytes in one atomic write. One request reads a blob by its key. The index only serves to find the blobs of
    a credential. It can have entries whose blob is missing or belongs to another credential, but each blob
    has an entry: ``put`` writes the entry before the blob, and an entry without a blob is deleted only when
    it is so old that no write can be in progress.

    Several processes, also on several machines, can use the same store at the same time.

    Parameters
    ----------
    address : StoreAddress
        The URL of the store.

    Raises
    ------
    DriverMissing
        If obstore is not installed.
    ValueError
        If an environment variable with the address of the store is not a URL.
    """

    _store: ObjectStore

    def __init__(self, address: StoreAddress) -> None:
        require_obstore()
        check_endpoint(address)
        self._address = address
        self._writing: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MOST_REQUESTS)
        # Several objects, because some stores allow only one write per second to an object. The names are
        # reused, because a write that timed out can still succeed later, and leave its object.
        process = uuid.uuid4().hex
        self._check_paths = itertools.cycle([f"{CHECKS}/{process}-{number}" for number in range(10)])

    async def open(self) -> None:
        """Check that the store can be used. Must be called first."""
        with self._errors():
            self._store = await anyio.to_thread.run_sync(connect, self._address)
            await self._delete_unfinished()
        await self.check()

    async def put(self, key: str, data: bytes, credential: str) -> None:
        """Store ``data`` under ``key`` for ``credential``, and replace any existing blob under ``key``."""
        # A request that was sent cannot be cancelled, so ``forget`` waits for the writes that still run.
        writing = asyncio.create_task(self._write(key, data, credential))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        await asyncio.shield(writing)

    async def get(self, key: str) -> bytes | None:
        """Return the bytes under ``key``, or None."""
        name = hashed(key)
        with self._errors(), contextlib.suppress(FileNotFoundError):
            async with self._request() as limit:
                found = await self._store.get_async(f"{BLOBS}/{name}")
                limit.reschedule(asyncio.get_running_loop().time() + _longest(found.meta["size"]))
                content = memoryview(await found.bytes_async())
            line = first_line(content)
            return None if parsed_head(name, line) is None else bytes(content[len(line) :])
        return None

    async def credential_of(self, key: str) -> str | None:
        """Return the credential that the blob under ``key`` belongs to, or None if there is no blob."""
        with self._errors():
            head = await self._read_head(hashed(key))
        return None if head is None else head.credential

    async def exists(self, key: str) -> bool:
        """Return whether there is a blob under ``key``."""
        return await self.credential_of(key) is not None

    async def delete(self, key: str) -> bool:
        """Delete the blob under ``key``, and return whether it existed."""
        name = hashed(key)
        with self._errors():
            head = await self._read_head(name)
            if head is None:
                return False
            await self._delete([f"{BLOBS}/{name}"])
            await self._delete([entry_path(head.credential, name)])
        return True

    async def keys(self, credential: str | None = None) -> list[BlobKey]:
        """Return the keys of ``credential``, or all keys if it is None, in sorted order."""
        folder = BLOBS if credential is None else f"{INDEX}/{hashed(credential)}"
        with self._errors():
            names = [name_of(each) async for each in self._list(folder)]
            heads = [head async for head in _concurrently(self._read_head, names)]
        found = (head for head in heads if head is not None and credential in {None, head.credential})
        return sorted(found, key=lambda head: head.key)

    async def forget(self, credential: str | None) -> None:
        """Delete the blobs of ``credential``, or all blobs if it is None."""
        if self._writing:
            await asyncio.wait(set(self._writing))
        with self._errors():
            if credential is None:
                await self._forget_all()
            else:
                await self._forget(credential)

    async def check(self) -> None:
        """Write an object, and delete it."""
        path = next(self._check_paths)
        with self._errors():
            async with self._request():
                await self._store.put_async(path, bytes(CHECK_BYTES), use_multipart=False)
            await self._delete([path])

    async def _write(self, key: str, data: bytes, credential: str) -> None:
        name = hashed(key)
        content = b"".join((head_of(key, credential), data))
        with self._errors():
            async with self._request():
                await self._store.put_async(entry_path(credential, name), b"", use_multipart=False)
            async with self._request(len(content)):
                # Do not upload in parts, because a killed process would leave them.
                await self._store.put_async(f"{BLOBS}/{name}", content, use_multipart=False)

    async def _forget(self, credential: str) -> None:
        """Delete the blobs of a credential."""
        entries = [each async for each in self._list(f"{INDEX}/{hashed(credential)}")]
        heads = [head async for head in _concurrently(self._read_head, map(name_of, entries))]
        theirs = {
            name_of(entry)
            for entry, head in zip(entries, heads, strict=True)
            if head is not None and head.credential == credential
        }
        await self._delete_with_entries(theirs, entries)

    async def _forget_all(self) -> None:
        """Delete all blobs, including damaged ones."""
        entries = [each async for each in self._list(INDEX)]
        names = {name_of(each) async for each in self._list(BLOBS)}
        await self._delete_with_entries(names, entries)
        await self._delete([each["path"] async for each in self._list(CHECKS) if _is_old(each)])
        await self._delete_unfinished()

    async def _delete_with_entries(self, names: set[str], entries: Sequence[ObjectMeta]) -> None:
        """Delete blobs, and then those of ``entries`` that belong to them, or that are old."""
        await self._delete([f"{BLOBS}/{name}" for name in names])
        await self._delete([each["path"] for each in entries if name_of(each) in names or _is_old(each)])

    async def _list(self, folder: str) -> AsyncIterator[ObjectMeta]:
        """Yield the objects in a folder."""
        pages = self._store.list(folder, chunk_size=1000)
        while True:
            async with self._request():
                try:
                    page = await anext(pages)
                except StopAsyncIteration:
                    return
            for found in page:
                # Ignore objects of other programs.
                if folder == CHECKS or NAME.fullmatch(name_of(found)):
                    yield found

    async def _read_head(self, name: str) -> BlobKey | None:
        """Return the head of a blob, or None if it is missing or damaged."""
        try:
            async with self._request():
                start = await self._read_start(name, USUAL_HEAD)
            if len(start) == USUAL_HEAD and b"\n" not in start:
                async with self._request(LONGEST_HEAD):
                    start = await self._read_start(name, LONGEST_HEAD)
        except FileNotFoundError:
            return None
        return parsed_head(name, first_line(memoryview(start)))

    async def _read_start(self, name: str, size: int) -> bytes:
        """Return the first ``size`` bytes of a blob, or fewer if it is shorter."""
        from obstore.exceptions import BaseError  # noqa: PLC0415 - on demand, see `require_obstore`

        path = f"{BLOBS}/{name}"
        try:
            found = await self._store.get_async(path, options={"range": (0, size)})
            return bytes(await found.bytes_async())
        except BaseError:
            # A range of an empty object is an error that obstore does not distinguish from others.
            if (await self._store.head_async(path))["size"] == 0:
                return b""
            raise

    async def _delete(self, paths: Sequence[str]) -> None:
        """Delete objects. Those that do not exist are ignored."""
        for first in range(0, len(paths), DELETED_AT_ONCE):
            some = paths[first : first + DELETED_AT_ONCE]
            try:
                async with self._request():
                    await self._store.delete_async(some)
            except FileNotFoundError:
                # Some stores stop at the first missing object, so delete the objects one by one.
                for path in some:
                    async with self._request():
                        with contextlib.suppress(FileNotFoundError):
                            await self._store.delete_async(path)

    async def _delete_unfinished(self) -> None:
        """Delete incomplete files that killed processes left in a folder. Other stores have none."""
        if self._address.scheme == "file":
            await anyio.to_thread.run_sync(_delete_unfinished, folder_of(self._address))

    @contextlib.asynccontextmanager
    async def _request(self, size: int = 0) -> AsyncIterator[asyncio.Timeout]:
        """Wait until a request can be sent, and limit the time of a request that transfers ``size`` bytes."""
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._slots.acquire()
        try:
            async with asyncio.timeout(_longest(size)) as limit:
                yield limit
        finally:
            self._slots.release()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Convert errors of the store to StoreUnavailable."""
        from obstore.exceptions import BaseError  # noqa: PLC0415 - on demand, see `require_obstore`

        try:
            yield
        except TimeoutError:
            reason = f"it did not answer within {ANSWER_SECONDS:g} s"
        except (OSError, BaseError) as error:
            reason = reason_of(error)
        else:
            return
        # Omit the error of obstore as the cause, because its text can contain signed URLs.
        raise StoreUnavailable(reason, f"the object store {self._address.url}") from None


def _longest(size: int) -> float:
    """Return the longest time for a request that transfers ``size`` bytes, in real seconds."""
    return ANSWER_SECONDS + size / SLOWEST_BYTES_PER_SECOND


async def _concurrently(function: Callable[[V], Awaitable[T]], arguments: Iterable[V]) -> AsyncIterator[T]:
    """Yield the result for each of ``arguments``, in the same order."""
    given = list(arguments)
    for first in range(0, len(given), HEADS_AT_ONCE):
        some = map(function, given[first : first + HEADS_AT_ONCE])
        for result in await asyncio.gather(*some):
            yield result


def _is_old(found: ObjectMeta) -> bool:
    return time.time() - found["last_modified"].timestamp() > LONGEST_WRITE_SECONDS


def _delete_unfinished(folder: Path) -> None:
    """Delete files that obstore has not renamed from ``name#1`` to ``name`` within the longest time."""
    for kind in (BLOBS, INDEX, CHECKS):
        for path in (folder / kind).rglob("*#*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > LONGEST_WRITE_SECONDS:
                    path.unlink()
