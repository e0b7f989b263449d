"""Behaviour of every adapter of Blobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.backends.blobs import BlobKey, Blobs, folder
from emulator.backends.blobs.folder import UNFINISHED, FolderBlobs
from emulator.backends.blobs.object_store import StoreAddress
from emulator.backends.blobs.objects import ObjectBlobs

ANY_TEXT = [
    *("../outside", "/etc/passwd", "a/../../outside", "nul\0byte", "", "a//b/", '\u00e4 ?#%2f\n"', "#1"),
    "x" * 5000,
]
"""Keys and credentials that are no names of files or objects."""


@pytest.fixture(params=["folder", "shared folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return FolderBlobs(tmp_path / "blobs")
    url = (
        request.getfixturevalue("s3")
        if request.param == "s3"
        else (tmp_path / "a folder; r\u00e9ally").as_uri()
    )
    objects = ObjectBlobs(StoreAddress.parse(url))
    asyncio.run(objects.open())
    return objects


def test_get_returns_the_stored_bytes(blobs: Blobs) -> None:
    async def scenario() -> None:
        await blobs.put("a/b", b"\x00first\n", "me")
        assert await blobs.get("a/b") == b"\x00first\n"
        await blobs.put("a/b", b"", "me")
        assert await blobs.get("a/b") == b""
        assert await blobs.exists("a/b")

    asyncio.run(scenario())


def test_a_kept_blob_is_read_again_if_its_file_was_changed(tmp_path: Path) -> None:
    async def scenario() -> None:
        blobs, other = FolderBlobs(tmp_path), FolderBlobs(tmp_path)
        for number in range(20):  # longer and longer, because the time of a change can be the same
            await other.put("a", bytes(number), f"key {number}")
            for _ in range(2):
                assert await blobs.get("a") == bytes(number)
                assert await blobs.credential_of("a") == f"key {number}"
        await other.delete("a")
        assert (await blobs.get("a"), await blobs.credential_of("a")) == (None, None)

    asyncio.run(scenario())


def test_kept_blobs_have_a_limited_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    read: Callable[[Path], object] = getattr(folder, "_read")  # noqa: B009 - to count its calls

    def count(path: Path) -> object:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(folder, "MOST_BYTES", 4 * folder.SMALL_BYTES)
    monkeypatch.setattr(folder, "_read", count)

    async def scenario() -> None:
        blobs = FolderBlobs(tmp_path)
        large = bytes(folder.SMALL_BYTES + 1)
        await blobs.put("large", large, "")
        assert (await blobs.get("large"), len(reads)) == (large, 1)
        small = {str(number): bytes([number]) * folder.SMALL_BYTES for number in range(6)}
        for key, data in small.items():
            await blobs.put(key, data, "")
        assert [await blobs.get(key) for key in reversed(small)] == [*reversed(small.values())]
        assert len(reads) == 3

    asyncio.run(scenario())


def test_a_missing_blob_is_none(blobs: Blobs) -> None:
    async def scenario() -> None:
        assert await blobs.get("a") is None
        assert await blobs.credential_of("a") is None
        assert not await blobs.exists("a")
        assert not await blobs.delete("a")
        assert await blobs.keys() == []

    asyncio.run(scenario())


def test_delete_removes_only_that_blob(blobs: Blobs) -> None:
    async def scenario() -> None:
        await blobs.put("a", b"1", "me")
        await blobs.put("A", b"2", "me")
        assert await blobs.delete("a")
        assert await blobs.get("a") is None
        assert await blobs.get("A") == b"2"

    asyncio.run(scenario())


def test_a_blob_belongs_to_the_credential_that_stored_it_last(blobs: Blobs) -> None:
    async def scenario() -> None:
        await blobs.put("a", b"1", "me")
        assert await blobs.credential_of("a") == "me"
        await blobs.put("a", b"2", "you\n\u00e4")
        assert await blobs.credential_of("a") == "you\n\u00e4"
        assert await blobs.keys("me") == []
        assert await blobs.keys("you\n\u00e4") == await blobs.keys() == [BlobKey("a", "you\n\u00e4")]

    asyncio.run(scenario())


def test_forget_removes_only_the_blobs_of_a_credential(blobs: Blobs) -> None:
    async def scenario() -> None:
        for key, credential in [("c", "me"), ("a", ""), ("d", "you"), ("b", "me")]:
            await blobs.put(key, key.encode(), credential)
        assert await blobs.keys("me") == [BlobKey("b", "me"), BlobKey("c", "me")]
        await blobs.forget("me")
        assert await blobs.keys() == [BlobKey("a", ""), BlobKey("d", "you")]
        assert [await blobs.get(key) for key in "abcd"] == [b"a", None, None, b"d"]
        await blobs.forget("")
        assert await blobs.keys() == [BlobKey("d", "you")]
        await blobs.forget(None)
        assert await blobs.keys() == []

    asyncio.run(scenario())


def test_forget_also_removes_blobs_of_cancelled_writes(blobs: Blobs) -> None:
    async def scenario() -> None:
        writing = [asyncio.create_task(blobs.put(str(n), bytes(100_000), "me")) for n in range(20)]
        await asyncio.sleep(0)  # each has begun
        for writer in writing:
            writer.cancel()
        await asyncio.wait(writing)
        await blobs.forget("me")
        assert await blobs.keys() == []

    asyncio.run(scenario())


@pytest.mark.parametrize("key", ANY_TEXT)
def test_keys_and_credentials_are_any_text(blobs: Blobs, key: str) -> None:
    async def scenario() -> None:
        await blobs.put(key, b"data", key)
        assert await blobs.get(key) == b"data"
        assert await blobs.credential_of(key) == key
        assert await blobs.keys(key) == await blobs.keys() == [BlobKey(key, key)]
        await blobs.forget(key)
        assert not await blobs.exists(key)

    asyncio.run(scenario())


def test_data_can_be_large(blobs: Blobs) -> None:
    async def scenario() -> None:
        data = bytes(range(256)) * 40_000
        await blobs.put("large", data, "me")
        assert await blobs.get("large") == data

    asyncio.run(scenario())


def test_a_check_stores_no_blob(blobs: Blobs) -> None:
    async def scenario() -> None:
        await blobs.put("a", b"1", "me")
        await blobs.check()
        assert await blobs.keys() == [BlobKey("a", "me")]

    asyncio.run(scenario())


def test_blobs_survive_reopening_and_unfinished_ones_are_deleted(tmp_path: Path) -> None:
    async def store() -> None:
        blobs = FolderBlobs(tmp_path)
        await blobs.put("a", b"1", "me")

    async def look() -> None:
        blobs = FolderBlobs(tmp_path)
        # An unfinished file is not listed, and opening deletes what a killed writer left.
        assert await blobs.keys() == [BlobKey("a", "me")]
        await blobs.open()
        assert await blobs.get("a") == b"1"

    asyncio.run(store())
    (stored,) = files_below(tmp_path)
    (stored.parent / f"half{UNFINISHED}").write_bytes(b"half")
    asyncio.run(look())
    assert files_below(tmp_path) == [stored]


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("key", ANY_TEXT)
def test_no_key_escapes_the_folder(tmp_path: Path, key: str) -> None:
    asyncio.run(FolderBlobs(tmp_path / "blobs").put(key, b"data", ""))
    files = files_below(tmp_path)
    assert [path.read_bytes().partition(b"\n")[2] for path in files] == [b"data"]
    assert files[0].is_relative_to(tmp_path / "blobs")


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        asyncio.run(FolderBlobs(tmp_path).put("a", "no bytes", ""))  # type: ignore[arg-type] # which is the point
    assert files_below(tmp_path) == []
