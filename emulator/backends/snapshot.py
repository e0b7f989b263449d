"""Snapshots: all records, counters and blobs in one zip file.

::

    manifest.json    the format, the emulator's version, and the number of documents, counters and blobs
    records.jsonl    one document or counter per line, the oldest document first
    blobs.jsonl      the key and the credential of one blob per line
    blobs/0 ...      the bytes of these blobs, in the same order

Only one blob is in memory at a time, while a snapshot is saved or restored.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import IO, Any, NoReturn, Protocol, TypeVar

import anyio.to_thread

from emulator.backends.blobs import BlobKey, Blobs
from emulator.backends.records import Counter, Document, Records
from emulator.backends.stateful import Check, EntryCheck
from emulator.backends.unavailable import StoreUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

FORMAT = 1
MANIFEST, ENTRIES, KEYS, BLOB = "manifest.json", "records.jsonl", "blobs.jsonl", "blobs/{}"
LONGEST_LINE = 8 * 1024 * 1024
"""Longest line of a snapshot, in bytes. The emulator never writes a longer line."""

MOST_MEMBERS = 300_000
"""Largest number of commas and opening brackets in a line. No other thread can run while a line is parsed."""

LONGEST_REASON = 1000
"""Longest description of an error in a document, in characters."""

LARGEST_COUNT = 2**53


class SnapshotInvalid(Exception):
    """The file is not a valid snapshot."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"this snapshot cannot be restored: {self.reason}"


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``.

    Attributes
    ----------
    format : int
        Version of the file format.
    emulator : str
        Version of the emulator that wrote the snapshot.
    documents, counters, blobs : int
        Number of documents, counters and blobs in the snapshot.
    """

    format: int
    emulator: str
    documents: int
    counters: int
    blobs: int


class Change(Protocol):
    """Changes records and blob keys before they are saved, for example to remove secrets."""

    def entry(self, entry: Document | Counter) -> Document | Counter:
        """Return the record to save instead of ``entry``."""

    def blob(self, blob: BlobKey) -> BlobKey:
        """Return the key to save instead of ``blob``."""


async def save_snapshot(
    records: Records, blobs: Blobs, file: IO[bytes], emulator: str, change: Change | None = None
) -> Manifest:
    """Write a snapshot to ``file`` and return its manifest.

    The records are copied at one point in time. The blobs are read afterwards. So every blob that a record
    refers to is included, except a blob that is deleted in the meantime. The same state gives the same file.
    """
    counts = {Document: 0, Counter: 0}
    stored: list[BlobKey] = []
    with zipfile.ZipFile(file, "w") as archive:
        with archive.open(_member(ENTRIES, zipfile.ZIP_DEFLATED), "w", force_zip64=True) as lines:
            async for entry in records.export():
                counts[type(entry)] += 1
                lines.write(_line(asdict(entry if change is None else change.entry(entry))))
        for found in await blobs.keys():
            data = await blobs.get(found.key)
            if data is not None:
                # Not compressed, because pictures are compressed already.
                member = _member(BLOB.format(len(stored)), zipfile.ZIP_STORED)
                await anyio.to_thread.run_sync(archive.writestr, member, data)
                stored.append(found)
        with archive.open(_member(KEYS, zipfile.ZIP_DEFLATED), "w", force_zip64=True) as lines:
            for found in stored:
                lines.write(_line(asdict(found if change is None else change.blob(found))))
        manifest = Manifest(FORMAT, emulator, counts[Document], counts[Counter], len(stored))
        archive.writestr(_member(MANIFEST, zipfile.ZIP_DEFLATED), json.dumps(asdict(manifest), indent=2))
    return manifest


@dataclass(frozen=True)
class Snapshot:
    """A snapshot whose content was checked.

    Attributes
    ----------
    file
        The zip file, open for reading.
    manifest : Manifest
        The content of the manifest in the zip file.
    """

    file: IO[bytes]
    manifest: Manifest

    async def restore(self, records: Records, blobs: Blobs, load: Callable[[], Awaitable[None]]) -> None:
        """Replace all records with the snapshot's records, and write its blobs. After an error, undo both.

        First, the blobs are written. Then the records are replaced atomically. Then ``load`` reads them into
        memory. If one of the steps raises an exception, the previous blobs and records are written back.

        If the process is killed before the records are replaced, the previous records remain, but some of
        their blobs may be overwritten. In this case, restore the snapshot again. Also do this if the log
        reports that a previous blob could not be written back.
        """
        with contextlib.ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(self.file))
            former = stack.enter_context(tempfile.TemporaryFile())
            undone = _Undo(blobs, former, frozenset(await blobs.keys()))
            try:
                for number, found in enumerate(_keys(archive)):
                    data = await anyio.to_thread.run_sync(archive.read, BLOB.format(number))
                    await undone.put(found, data)
                before = await _exported(records, stack.enter_context(tempfile.TemporaryFile()))
                await records.restore(_entries(archive))
                try:
                    await load()
                except Exception:
                    await records.restore(_stored(before))
                    await load()
                    raise
            except Exception:
                await undone.undo()
                raise

    async def drop_other_blobs(self, blobs: Blobs) -> None:
        """Delete the blobs that are not in the snapshot. Call this after restoring the snapshot."""
        with zipfile.ZipFile(self.file) as archive:
            kept = set(_keys(archive))
        for found in set(await blobs.keys()).difference(kept):
            await blobs.delete(found.key)


async def _exported(records: Records, file: IO[bytes]) -> IO[bytes]:
    """Write all records to a file, and return the file."""
    async for entry in records.export():
        file.write(_line(asdict(entry)))
    return file


def _stored(file: IO[bytes]) -> Iterator[Document | Counter]:
    """Yield the records in a file."""
    file.seek(0)
    for line in file:
        found = json.loads(line)
        yield Document(**found) if "kind" in found else Counter(**found)


class _Undo:
    """Writes blobs so that the writes can be undone. A temporary file keeps the blobs that are replaced."""

    def __init__(self, blobs: Blobs, former: IO[bytes], known: frozenset[BlobKey]) -> None:
        self._blobs = blobs
        self._former = former
        self._known = {found.key: found for found in known}
        self._added: list[str] = []
        self._replaced: list[tuple[BlobKey, int]] = []

    async def put(self, found: BlobKey, data: bytes) -> None:
        """Store a blob. Do nothing if it exists with the same bytes and credential."""
        before = self._known.get(found.key)
        if before is None:
            self._added.append(found.key)
        else:
            there = await self._blobs.get(found.key)
            if before == found and there == data:
                return
            if there is not None:
                await anyio.to_thread.run_sync(self._former.write, there)
                self._replaced.append((before, len(there)))
        await self._blobs.put(found.key, data, found.credential)

    async def undo(self) -> None:
        """Delete the added blobs, write the replaced blobs back, and log the blobs that cannot be written."""
        # Delete the added blobs first, because they may have filled the disk.
        for key in self._added:
            with contextlib.suppress(OSError, StoreUnavailable):
                await self._blobs.delete(key)
        self._former.seek(0)
        for found, size in self._replaced:
            data = await anyio.to_thread.run_sync(self._former.read, size)
            try:
                await self._blobs.put(found.key, data, found.credential)
            except (OSError, StoreUnavailable):
                logger.exception("the blob %s could not be written back", found.key)


async def read_snapshot(
    file: IO[bytes],
    checks: Mapping[str, Check],
    entry_checks: Mapping[str, EntryCheck] | None = None,
) -> Snapshot:
    """Read and check the whole snapshot in ``file``.

    Parameters
    ----------
    file
        A zip file that ``save_snapshot`` wrote.
    checks : mapping of str to callable
        A validator for each kind of document.
    entry_checks : mapping of str to callable, optional
        Validators that also need the key and the credential. If they are given, documents of kinds that have
        no validator are refused.

    Raises
    ------
    SnapshotInvalid
        If the file is incomplete, invalid, or has another format.
    """
    return Snapshot(file, await anyio.to_thread.run_sync(_validate, file, checks, entry_checks))


def _member(name: str, compression: int) -> zipfile.ZipInfo:
    # Without a date, so that the same state gives the same file.
    member = zipfile.ZipInfo(name)
    member.compress_type = compression
    return member


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _validate(
    file: IO[bytes], checks: Mapping[str, Check], entry_checks: Mapping[str, EntryCheck] | None
) -> Manifest:
    """Read and check a whole snapshot, and return its manifest."""
    with _foreign_errors(), zipfile.ZipFile(file) as archive:
        manifest = _manifest(archive)
        broken = archive.testzip()
        if broken is not None:
            raise SnapshotInvalid(f"{broken} is damaged")
        counts = {Document: 0, Counter: 0}
        names: set[tuple[str, ...]] = set()
        for entry in _entries(archive):
            counts[type(entry)] += 1
            named = (
                ("document", entry.kind, entry.key)
                if isinstance(entry, Document)
                else ("counter", entry.name, entry.credential)
            )
            if named in names:
                raise SnapshotInvalid(f"{ENTRIES} contains a {named[0]} twice: {named[1]} {named[2]!r}")
            names.add(named)
            if isinstance(entry, Document):
                _check(entry, checks, entry_checks)
        keys = [found.key for found in _keys(archive)]
        if len(set(keys)) < len(keys):
            raise SnapshotInvalid(f"{KEYS} contains a key twice")
        counted = (counts[Document], counts[Counter], len(keys))
        if counted != (manifest.documents, manifest.counters, manifest.blobs):
            raise SnapshotInvalid(f"the numbers in {MANIFEST} do not match the content")
        members = [MANIFEST, ENTRIES, KEYS, *(BLOB.format(number) for number in range(len(keys)))]
        if sorted(archive.namelist()) != sorted(members):
            raise SnapshotInvalid("blobs are missing, or the zip file contains unknown files")
        # An uncompressed blob cannot be larger than the file. A compressed blob could expand to any size.
        if any(archive.getinfo(member).compress_type != zipfile.ZIP_STORED for member in members[3:]):
            raise SnapshotInvalid("a blob is compressed")
    return manifest


@contextlib.contextmanager
def _foreign_errors() -> Iterator[None]:
    """Turn errors of the zip and JSON modules into SnapshotInvalid."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
    ) as error:
        raise SnapshotInvalid("it is not a zip file, or it is damaged") from error


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    if MANIFEST not in archive.namelist():
        raise SnapshotInvalid(f"it does not contain {MANIFEST}")
    with archive.open(MANIFEST) as opened:
        manifest = _typed(Manifest, _json(opened.read(LONGEST_LINE), MANIFEST), MANIFEST)
    if manifest.format != FORMAT:
        raise SnapshotInvalid(
            f"it has format {manifest.format} (emulator {manifest.emulator}), "
            f"but this version reads format {FORMAT}"
        )
    return manifest


def _check(
    entry: Document, checks: Mapping[str, Check], entry_checks: Mapping[str, EntryCheck] | None
) -> None:
    if entry_checks is not None and entry.kind not in checks:
        raise SnapshotInvalid(f"this emulator has no documents of the kind {entry.kind!r}")
    try:
        if entry.kind in checks:
            checks[entry.kind](entry.document)
        if entry_checks is not None and entry.kind in entry_checks:
            entry_checks[entry.kind](entry)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        reason = f"{error!r}"[:LONGEST_REASON]
        raise SnapshotInvalid(f"the {entry.kind} {entry.key!r} is invalid: {reason}") from error


def _entries(archive: zipfile.ZipFile) -> Iterator[Document | Counter]:
    for found in _lines(archive, ENTRIES):
        if isinstance(found, dict) and "kind" in found:
            yield _typed(Document, found, ENTRIES)
        else:
            yield _typed(Counter, found, ENTRIES)


def _keys(archive: zipfile.ZipFile) -> Iterator[BlobKey]:
    for found in _lines(archive, KEYS):
        yield _typed(BlobKey, found, KEYS)


def _lines(archive: zipfile.ZipFile, name: str) -> Iterator[Any]:
    if name not in archive.namelist():
        raise SnapshotInvalid(f"it does not contain {name}")
    with archive.open(name) as lines:
        while line := lines.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise SnapshotInvalid(f"{name} contains a line of more than {LONGEST_LINE} bytes")
            if line.count(b",") + line.count(b"[") + line.count(b"{") > MOST_MEMBERS:
                raise SnapshotInvalid(f"{name} contains a line of more than {MOST_MEMBERS} members")
            yield _json(line, name)


def _json(text: bytes, where: str) -> Any:
    try:
        found = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        if b"\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # halves of surrogate pairs cannot be sent
    except RecursionError as error:
        raise SnapshotInvalid(f"{where} contains JSON that is nested too deeply") from error
    except ValueError as error:
        raise SnapshotInvalid(f"{where} contains invalid JSON: {error}") from error
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large")
    return number


TYPES: Mapping[str, type] = {
    "document": dict,
    **dict.fromkeys(("kind", "key", "credential", "name", "emulator"), str),
    **dict.fromkeys(("value", "format", "documents", "counters", "blobs"), int),
}
"""Type of each member of the JSON objects in a snapshot, by the name of the member."""


def _typed(kind: type[T], found: Any, where: str) -> T:
    """Return an instance of the dataclass ``kind`` from the parsed JSON ``found``."""
    names = {member.name for member in fields(kind)}  # type: ignore[arg-type]  # a dataclass, as all callers pass
    if not isinstance(found, dict) or found.keys() != names:
        raise SnapshotInvalid(f"{where} contains something that is not a {kind.__name__}")
    for name, value in found.items():
        # Not isinstance, because True is an int.
        if type(value) is not TYPES[name] or not _can_be_stored(value):
            raise SnapshotInvalid(f"{where} contains a {kind.__name__} with an invalid {name}")
    return kind(**found)


def _can_be_stored(value: object) -> bool:
    if isinstance(value, int):
        return 0 <= value <= LARGEST_COUNT
    # JSON can contain half of a surrogate pair, but text in the database cannot.
    return not isinstance(value, str) or not any("\ud800" <= character <= "\udfff" for character in value)
