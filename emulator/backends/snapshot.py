"""Snapshots: all records, counters and blobs in one zip file, written and read through the ports.

::

    manifest.json    the format, the emulator's version, and how many of each there are
    records.jsonl    a document or a counter a line, documents in the order of creation
    blobs.jsonl      a key and its credential a line
    blobs/0 ...      the bytes of these, in their order

Neither side holds it in memory: what is larger than one blob stays on the disk.
"""

from __future__ import annotations

import contextlib
import json
import logging
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import IO, Any, TypeVar

import anyio.to_thread

from emulator.backends.blobs import BlobKey, Blobs
from emulator.backends.records import Counter, Document, Records
from emulator.backends.stateful import Check

logger = logging.getLogger(__name__)

T = TypeVar("T")

FORMAT = 1
MANIFEST, ENTRIES, KEYS, BLOB = "manifest.json", "records.jsonl", "blobs.jsonl", "blobs/{}"
LONGEST_LINE = 64 * 1024 * 1024
LARGEST_COUNT = 2**63 - 1


class SnapshotInvalid(Exception):
    """The file is no snapshot that can be restored."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"this snapshot cannot be restored: {self.reason}"


@dataclass(frozen=True)
class Manifest:
    """What a snapshot says about itself.

    Attributes
    ----------
    format : int
        How to read it.
    emulator : str
        The version that wrote it.
    documents, counters, blobs : int
        How many there are.
    """

    format: int
    emulator: str
    documents: int
    counters: int
    blobs: int


async def save_snapshot(records: Records, blobs: Blobs, file: IO[bytes], emulator: str) -> Manifest:
    """Write everything into ``file``, and return what there is.

    The records stand as they did at one moment. The blobs are read after that moment: each that a
    record speaks of is there, unless somebody deleted it meanwhile. The same state gives the same file.
    """
    counts = {Document: 0, Counter: 0}
    stored: list[BlobKey] = []
    with zipfile.ZipFile(file, "w") as archive:
        with archive.open(_member(ENTRIES, zipfile.ZIP_DEFLATED), "w", force_zip64=True) as lines:
            async for entry in records.export():
                counts[type(entry)] += 1
                lines.write(_line(asdict(entry)))
        for found in await blobs.keys():
            data = await blobs.get(found.key)
            if data is not None:
                # Pictures do not get any smaller.
                member = _member(BLOB.format(len(stored)), zipfile.ZIP_STORED)
                await anyio.to_thread.run_sync(archive.writestr, member, data)
                stored.append(found)
        with archive.open(_member(KEYS, zipfile.ZIP_DEFLATED), "w", force_zip64=True) as lines:
            for found in stored:
                lines.write(_line(asdict(found)))
        manifest = Manifest(FORMAT, emulator, counts[Document], counts[Counter], len(stored))
        archive.writestr(_member(MANIFEST, zipfile.ZIP_DEFLATED), json.dumps(asdict(manifest), indent=2))
    return manifest


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that was read from end to end, and can be restored.

    Attributes
    ----------
    file
        Where it stands.
    manifest : Manifest
        What it says about itself.
    """

    file: IO[bytes]
    manifest: Manifest

    async def restore(self, records: Records, blobs: Blobs) -> None:
        """Replace all records by what the snapshot holds, and add its blobs; or raise, and change nothing.

        The records change in one moment, after the blobs that they speak of have come. If those or the
        records cannot be stored, the blobs are put back as they were. A process that is killed in between
        leaves the former records, but may have put other bytes under their keys: restoring once more
        mends that, as it does in the rare case that a blob cannot even be put back.
        """
        with zipfile.ZipFile(self.file) as archive, tempfile.TemporaryFile() as former:
            undone = _Undo(blobs, former, frozenset(await blobs.keys()))
            try:
                for number, found in enumerate(_keys(archive)):
                    data = await anyio.to_thread.run_sync(archive.read, BLOB.format(number))
                    await undone.put(found, data)
                await records.restore(_entries(archive))
            except Exception:
                await undone.undo()
                raise

    async def drop_other_blobs(self, blobs: Blobs) -> None:
        """Delete the blobs that only the former records spoke of, once nobody goes by those any more."""
        with zipfile.ZipFile(self.file) as archive:
            kept = set(_keys(archive))
        for found in set(await blobs.keys()).difference(kept):
            await blobs.delete(found.key)


class _Undo:
    """Puts blobs, and can take that back: what they replace stands in a file meanwhile."""

    def __init__(self, blobs: Blobs, former: IO[bytes], known: frozenset[BlobKey]) -> None:
        self._blobs = blobs
        self._former = former
        self._known = {found.key: found for found in known}
        self._added: list[str] = []
        self._replaced: list[tuple[BlobKey, int]] = []

    async def put(self, found: BlobKey, data: bytes) -> None:
        """Store a blob, unless it is there already."""
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
        """Have the blobs stand as they did, as far as the disk lets that happen."""
        # What was added goes first: it may be what has filled the disk.
        for key in self._added:
            with contextlib.suppress(OSError):
                await self._blobs.delete(key)
        self._former.seek(0)
        for found, size in self._replaced:
            data = await anyio.to_thread.run_sync(self._former.read, size)
            try:
                await self._blobs.put(found.key, data, found.credential)
            except OSError:
                logger.exception("the blob %s could not be put back", found.key)


async def read_snapshot(file: IO[bytes], checks: Mapping[str, Check]) -> Snapshot:
    """Return the snapshot in ``file``, all of it read and checked.

    Parameters
    ----------
    file
        What ``save_snapshot`` wrote.
    checks : mapping of str to callable
        By kind, what has to be true of a document.

    Raises
    ------
    SnapshotInvalid
        If the file is not a whole snapshot of a known format.
    """
    return Snapshot(file, await anyio.to_thread.run_sync(_validate, file, checks))


def _member(name: str, compression: int) -> zipfile.ZipInfo:
    # Without a date: the same state gives the same file.
    member = zipfile.ZipInfo(name)
    member.compress_type = compression
    return member


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _validate(file: IO[bytes], checks: Mapping[str, Check]) -> Manifest:
    """Return the manifest of a snapshot that was read from end to end."""
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
                raise SnapshotInvalid(f"{ENTRIES} has a {named[0]} twice: {named[1]} {named[2]!r}")
            names.add(named)
            if isinstance(entry, Document) and entry.kind in checks:
                _check(entry, checks[entry.kind])
        keys = [found.key for found in _keys(archive)]
        if len(set(keys)) < len(keys):
            raise SnapshotInvalid(f"{KEYS} has a key twice")
        counted = (counts[Document], counts[Counter], len(keys))
        if counted != (manifest.documents, manifest.counters, manifest.blobs):
            raise SnapshotInvalid(f"{MANIFEST} does not say how much there is")
        members = [MANIFEST, ENTRIES, KEYS, *(BLOB.format(number) for number in range(len(keys)))]
        if sorted(archive.namelist()) != sorted(members):
            raise SnapshotInvalid("it lacks blobs, or has members that no snapshot has")
        # So none can be larger than the file is, however small it was sent.
        if any(archive.getinfo(member).compress_type != zipfile.ZIP_STORED for member in members[3:]):
            raise SnapshotInvalid("a blob is compressed")
    return manifest


@contextlib.contextmanager
def _foreign_errors() -> Iterator[None]:
    """Raise SnapshotInvalid for what the zip and JSON modules raise over a file that is not theirs."""
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
        raise SnapshotInvalid("it is no zip file, or a damaged one") from error


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    if MANIFEST not in archive.namelist():
        raise SnapshotInvalid(f"there is no {MANIFEST} in it")
    with archive.open(MANIFEST) as opened:
        manifest = _typed(Manifest, _json(opened.read(LONGEST_LINE), MANIFEST), MANIFEST)
    if manifest.format != FORMAT:
        raise SnapshotInvalid(
            f"it has format {manifest.format}, of emulator {manifest.emulator}; "
            f"this one reads format {FORMAT}"
        )
    return manifest


def _check(entry: Document, check: Check) -> None:
    try:
        check(entry.document)
    except (ValueError, TypeError, LookupError) as error:
        raise SnapshotInvalid(f"the {entry.kind} {entry.key!r} cannot be read: {error!r}") from error


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
        raise SnapshotInvalid(f"there is no {name} in it")
    with archive.open(name) as lines:
        while line := lines.readline(LONGEST_LINE):
            yield _json(line, name)


def _json(text: bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SnapshotInvalid(f"{where} has something that is no JSON: {error}") from error


TYPES: Mapping[str, type] = {
    "document": dict,
    **dict.fromkeys(("kind", "key", "credential", "name", "emulator"), str),
    **dict.fromkeys(("value", "format", "documents", "counters", "blobs"), int),
}
"""What each member of a line or of the manifest is."""


def _typed(kind: type[T], found: Any, where: str) -> T:
    """Return what ``asdict`` wrote, as the dataclass that it was."""
    names = {member.name for member in fields(kind)}  # type: ignore[arg-type]  # a dataclass, as all callers pass
    if not isinstance(found, dict) or found.keys() != names:
        raise SnapshotInvalid(f"{where} has something that is no {kind.__name__}")
    for name, value in found.items():
        # Not isinstance: True is no number here.
        if type(value) is not TYPES[name] or not _can_be_stored(value):
            raise SnapshotInvalid(f"{where} has a {kind.__name__} whose {name} is wrong")
    return kind(**found)


def _can_be_stored(value: object) -> bool:
    if isinstance(value, int):
        return 0 <= value <= LARGEST_COUNT
    # Half a surrogate pair can be said in JSON, and not in a database's text.
    return not isinstance(value, str) or not any("\ud800" <= character <= "\udfff" for character in value)
