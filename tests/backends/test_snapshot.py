"""A snapshot restores the same state through any adapters, and an invalid file changes nothing."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import zipfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

import pytest

from emulator.backends.blobs import BlobKey, Blobs
from emulator.backends.blobs.folder import FolderBlobs
from emulator.backends.records import Counter, Document, Records
from emulator.backends.records.sqlite import SqliteRecords
from emulator.backends.snapshot import Manifest, SnapshotInvalid, read_snapshot, save_snapshot
from emulator.backends.stateful import Check
from emulator.backends.unavailable import StoreUnavailable

Scenario = Callable[[Records, Blobs], Awaitable[None]]

BLOBS = {"b": (b"\xff\xd8 picture", "me"), "a/\n\u00e4": (b"", ""), "c": (bytes(3_000_000), "you")}


def use(folder: Path, scenario: Scenario) -> None:
    async def run() -> None:
        records, blobs = SqliteRecords(folder / "records.sqlite3"), FolderBlobs(folder / "blobs")
        await records.open()
        try:
            await scenario(records, blobs)
        finally:
            await records.close()

    asyncio.run(run())


async def fill(records: Records, blobs: Blobs) -> None:
    await records.create("task", "t2", "me", {"n": [1, None, "\u00e4", 0.1]})
    await records.create("task", "t1", "you", {"n": {}})
    await records.count_up("a", "me")
    await records.count_up("a", "me")
    for key, (data, credential) in BLOBS.items():
        await blobs.put(key, data, credential)


async def state(records: Records, blobs: Blobs) -> object:
    keys = await blobs.keys()
    return (
        [entry async for entry in records.export()],
        [(found, await blobs.get(found.key)) for found in keys],
    )


async def loaded() -> None:
    pass


async def restore(records: Records, blobs: Blobs, file: IO[bytes], checks: Mapping[str, Check]) -> Manifest:
    snapshot = await read_snapshot(file, checks)
    await snapshot.restore(records, blobs, loaded)
    await snapshot.drop_other_blobs(blobs)
    return snapshot.manifest


def saved(folder: Path) -> bytes:
    file = io.BytesIO()

    async def save(records: Records, blobs: Blobs) -> None:
        await fill(records, blobs)
        assert await save_snapshot(records, blobs, file, "1.2.3") == Manifest(1, "1.2.3", 2, 1, 3)

    use(folder, save)
    return file.getvalue()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return saved(tmp_path_factory.mktemp("saved"))


def test_restore_replaces_the_whole_state(tmp_path: Path, snapshot: bytes) -> None:
    async def scenario(records: Records, blobs: Blobs) -> None:
        await records.create("task", "t2", "you", {})
        await records.create("file", "f", "me", {})
        await records.count_up("b")
        await blobs.put("b", b"other", "you")
        await blobs.put("d", b"more", "me")
        assert await restore(records, blobs, io.BytesIO(snapshot), {}) == Manifest(1, "1.2.3", 2, 1, 3)
        restored = await state(records, blobs)
        again = io.BytesIO()
        await save_snapshot(records, blobs, again, "1.2.3")
        assert again.getvalue() == snapshot
        await records.forget(None)
        await blobs.forget(None)
        await fill(records, blobs)
        assert await state(records, blobs) == restored

    use(tmp_path, scenario)


def test_the_same_state_gives_the_same_file(tmp_path: Path, snapshot: bytes) -> None:
    assert saved(tmp_path) == snapshot


def rewritten(
    snapshot: bytes, changes: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED
) -> bytes:
    """Return a snapshot with some members replaced, or left out where the change is None."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(snapshot)) as old, zipfile.ZipFile(file, "w", compression) as new:
        members = {name: old.read(name) for name in old.namelist()} | changes
        for name, data in members.items():
            if data is not None:
                new.writestr(name, data)
    return file.getvalue()


def manifest(**changes: object) -> bytes:
    good = {"format": 1, "emulator": "1.2.3", "documents": 2, "counters": 1, "blobs": 3}
    return json.dumps(good | changes).encode()


def line(**members: object) -> bytes:
    return json.dumps(members).encode() + b"\n"


TASK = line(kind="task", key="t", credential="", document={"n": 1})
COUNTER = line(name="a", credential="", value=1)
KEYS = b"".join(line(key=key, credential="") for key in "abc")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"records.jsonl": TASK + TASK.replace(b"task", b"file") + COUNTER, "blobs.jsonl": KEYS}, None),
        ({"manifest.json": None}, "does not contain manifest.json"),
        ({"manifest.json": b"{"}, "invalid JSON"),
        ({"manifest.json": b"[]"}, "not a Manifest"),
        ({"manifest.json": manifest(more=1)}, "not a Manifest"),
        ({"manifest.json": manifest(format=2)}, r"format 2 \(emulator 1.2.3\)"),
        ({"manifest.json": manifest(documents=True)}, "invalid documents"),
        ({"manifest.json": manifest(documents=3)}, "do not match the content"),
        ({"manifest.json": manifest(blobs=2)}, "do not match the content"),
        ({"records.jsonl": None}, "does not contain records.jsonl"),
        ({"records.jsonl": TASK + b"nonsense\n" + COUNTER}, "invalid JSON"),
        ({"records.jsonl": TASK + b"\xff\n" + COUNTER}, "invalid JSON"),
        ({"records.jsonl": TASK + b"7\n"}, "not a Counter"),
        ({"records.jsonl": TASK + line(name="a", credential="")}, "not a Counter"),
        ({"records.jsonl": TASK + line(name="a", credential="", value=-1)}, "invalid value"),
        ({"records.jsonl": TASK + line(name="a", credential="", value=2**63)}, "invalid value"),
        ({"records.jsonl": TASK + line(name="\ud800", credential="", value=1)}, "surrogates not allowed"),
        ({"records.jsonl": line(kind="task", key="t", credential="", document=[])}, "invalid document"),
        ({"records.jsonl": line(kind="task", key="t", credential=None, document={})}, "invalid credential"),
        ({"records.jsonl": TASK + TASK + COUNTER}, "document twice: task 't'"),
        ({"records.jsonl": TASK + COUNTER + COUNTER}, "counter twice"),
        ({"records.jsonl": TASK.replace(b'"n"', b'"m"') + COUNTER}, "the task 't' is invalid"),
        ({"records.jsonl": b"[" * 100_000}, "nested too deeply"),
        ({"blobs.jsonl": None}, "does not contain blobs.jsonl"),
        ({"blobs.jsonl": KEYS.replace(b"b", b"a")}, "key twice"),
        ({"blobs.jsonl": line(key=1, credential="")}, "invalid key"),
        ({"blobs/1": None}, "blobs are missing"),
        ({"blobs/3": b""}, "unknown files"),
        ({"../outside": b""}, "unknown files"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_an_invalid_snapshot_changes_nothing(
    tmp_path: Path, snapshot: bytes, changes: dict[str, bytes | None], reason: str | None
) -> None:
    check_that_it_changes_nothing(tmp_path, rewritten(snapshot, changes), reason)


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip file" * 1000], ids=lambda data: str(data[:8]))
def test_a_file_that_is_no_zip_file_changes_nothing(tmp_path: Path, data: bytes) -> None:
    check_that_it_changes_nothing(tmp_path, data, "it is not a zip file, or it is damaged")


def test_compressed_blobs_are_refused(tmp_path: Path, snapshot: bytes) -> None:
    grown = rewritten(snapshot, {}, zipfile.ZIP_DEFLATED)
    check_that_it_changes_nothing(tmp_path, grown, "a blob is compressed")


def check_that_it_changes_nothing(folder: Path, data: bytes, reason: str | None) -> None:
    async def scenario(records: Records, blobs: Blobs) -> None:
        await records.create("task", "mine", "me", {})
        await blobs.put("b", b"mine", "me")
        before = await state(records, blobs)
        if reason is None:
            await restore(records, blobs, io.BytesIO(data), CHECKS)
            assert await state(records, blobs) != before
            return
        with pytest.raises(SnapshotInvalid, match=reason) as caught:
            await restore(records, blobs, io.BytesIO(data), CHECKS)
        assert str(caught.value) == f"this snapshot cannot be restored: {caught.value.reason}"
        assert await state(records, blobs) == before

    use(folder, scenario)


CHECKS = {"task": lambda document: document["n"]}


def test_a_damaged_snapshot_is_refused_or_restores_the_same_state(tmp_path: Path, snapshot: bytes) -> None:
    small = rewritten(snapshot, {"blobs/1": bytes(50), "blobs/2": bytes(50)})
    cut = [small[:length] for length in range(0, len(small), 97)]
    flipped = [
        small[:place] + bytes([small[place] ^ (1 << (place % 8))]) + small[place + 1 :]
        for place in range(0, len(small), 11)
    ]

    async def scenario(records: Records, blobs: Blobs) -> None:
        await restore(records, blobs, io.BytesIO(small), {})
        whole = await state(records, blobs)
        await records.create("task", "mine", "me", {})
        await blobs.put("b", b"mine", "me")
        before = await state(records, blobs)
        refused = 0
        for damaged in [*cut, *flipped]:
            try:
                await restore(records, blobs, io.BytesIO(damaged), {})
            except SnapshotInvalid:
                refused += 1
                assert await state(records, blobs) == before
            else:
                # The flipped bit has no effect, such as one in a date.
                assert damaged in flipped
                assert await state(records, blobs) == whole
                await records.create("task", "mine", "me", {})
                await blobs.put("b", b"mine", "me")
        assert refused >= len(cut) + len(flipped) / 2

    use(tmp_path, scenario)


def test_a_blob_deleted_during_the_save_is_left_out(tmp_path: Path) -> None:
    class Vanishing(FolderBlobs):
        async def keys(self, credential: str | None = None) -> list[BlobKey]:
            return [*await super().keys(credential), BlobKey("gone", "me")]

    async def save(records: Records, blobs: Blobs) -> None:
        file = io.BytesIO()
        await fill(records, blobs)
        manifest = await save_snapshot(records, Vanishing(tmp_path / "blobs"), file, "1.2.3")
        assert manifest.blobs == 3
        await restore(records, blobs, file, {})

    use(tmp_path, save)


FULL = OSError(errno.ENOSPC, "no space left on device")


class FullBlobs(FolderBlobs):
    """Blobs on a disk that has room for ``room`` more."""

    def __init__(self, folder: Path, room: int) -> None:
        super().__init__(folder)
        self.room = room

    async def put(self, key: str, data: bytes, credential: str) -> None:
        if not self.room:
            raise FULL
        self.room -= not await self.exists(key)
        await super().put(key, data, credential)

    async def delete(self, key: str) -> bool:
        self.room += 1
        return await super().delete(key)


class FullRecords(SqliteRecords):
    """Records on a disk that is full after one entry."""

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        def some() -> Iterable[Document | Counter]:
            yield next(iter(entries))
            raise FULL

        await super().restore(some())


@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_restore_on_a_full_disk_changes_nothing(tmp_path: Path, snapshot: bytes, room: int) -> None:
    async def scenario(records: Records, blobs: Blobs) -> None:
        await records.create("task", "mine", "me", {})
        await records.count_up("b")
        await blobs.put("b", b"mine", "me")
        await blobs.put("c", BLOBS["c"][0], "somebody")
        await blobs.put("d", b"more", "me")
        before = await state(records, blobs)
        full = FullRecords(tmp_path / "records.sqlite3")
        await full.open()
        try:
            with pytest.raises((OSError, StoreUnavailable), match="no space"):
                await restore(full, FullBlobs(tmp_path / "blobs", room), io.BytesIO(snapshot), {})
        finally:
            await full.close()
        assert await state(records, blobs) == before

    use(tmp_path, scenario)


def test_a_blob_that_cannot_be_rolled_back_is_logged_and_the_others_are_rolled_back(
    tmp_path: Path, snapshot: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    class OnceTooFull(FolderBlobs):
        async def put(self, key: str, data: bytes, credential: str) -> None:
            if (key, data) in {("c", BLOBS["c"][0]), ("a/\n\u00e4", b"mine")}:
                raise FULL
            await super().put(key, data, credential)

    async def scenario(records: Records, blobs: Blobs) -> None:
        for key in BLOBS:
            await blobs.put(key, b"mine", "me")
        with pytest.raises(OSError, match="no space"):
            await restore(records, OnceTooFull(tmp_path / "blobs"), io.BytesIO(snapshot), {})
        assert [await blobs.get(key) for key in BLOBS] == [b"mine", b"", b"mine"]

    use(tmp_path, scenario)
    assert caplog.messages == ["the blob a/\n\u00e4 could not be written back"]
