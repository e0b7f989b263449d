"""What every adapter of Blobs does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from emulator.backends.blobs import Blobs
from emulator.backends.blobs.folder import FolderBlobs


@pytest.fixture(params=["folder"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    assert request.param == "folder"
    return FolderBlobs(tmp_path / "blobs")


def test_bytes_come_back_as_they_went_in(blobs: Blobs) -> None:
    async def scenario() -> None:
        await blobs.put("a/b", b"\x00first")
        await blobs.put("a/b", b"second")
        assert await blobs.get("a/b") == b"second"
        assert await blobs.exists("a/b")

    asyncio.run(scenario())


def test_what_is_not_there_is_none(blobs: Blobs) -> None:
    async def scenario() -> None:
        assert await blobs.get("a") is None
        assert not await blobs.exists("a")
        assert not await blobs.delete("a")

    asyncio.run(scenario())


def test_deleting_takes_one_away(blobs: Blobs) -> None:
    async def scenario() -> None:
        await blobs.put("a", b"1")
        await blobs.put("A", b"2")
        assert await blobs.delete("a")
        assert await blobs.get("a") is None
        assert await blobs.get("A") == b"2"

    asyncio.run(scenario())


@pytest.mark.parametrize("key", ["../outside", "/etc/passwd", "a/../../outside", "nul\0byte", "x" * 5000])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    asyncio.run(FolderBlobs(tmp_path / "blobs").put(key, b"data"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [b"data"]
    assert files[0].is_relative_to(tmp_path / "blobs")


def test_a_writer_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        asyncio.run(FolderBlobs(tmp_path).put("a", "no bytes"))  # type: ignore[arg-type] # which is the point
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
