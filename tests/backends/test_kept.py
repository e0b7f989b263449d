from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from emulator.backends.records.kept import RecordCache
from emulator.backends.records.sqlite import SqliteRecords


def use(path: Path, scenario: Callable[[RecordCache[int], SqliteRecords], Awaitable[None]]) -> None:
    async def run() -> None:
        records = SqliteRecords(path / "records.sqlite3")
        await records.open()
        try:
            await scenario(
                RecordCache(records, "number", lambda n: {"n": n}, lambda found: int(found["n"])), records
            )
        finally:
            await records.close()

    asyncio.run(run())


def test_load_restores_all_values_in_order(tmp_path: Path) -> None:
    async def scenario(kept: RecordCache[int], records: SqliteRecords) -> None:
        for key, credential, value in (("b", "me", 1), ("a", "you", 2), ("b", "me", 3)):
            await kept.put(key, credential, value)
        again: RecordCache[int] = RecordCache(
            records, "number", lambda n: {"n": n}, lambda found: int(found["n"])
        )
        assert again.items() == {}
        await again.load()
        values = [(key, entry.credential, entry.value) for key, entry in again.items().items()]
        assert values == [("b", "me", 3), ("a", "you", 2)]
        assert (again.get("a"), again.get("c")) == (2, None)

    use(tmp_path, scenario)


def test_delete_and_forget_remove_values_from_memory_and_records(tmp_path: Path) -> None:
    async def scenario(kept: RecordCache[int], records: SqliteRecords) -> None:
        for key, credential in (("a", "me"), ("b", "you"), ("c", "me")):
            await kept.put(key, credential, 0)
        assert await kept.delete("a")
        assert not await kept.delete("a")
        await kept.forget("me")
        assert list(kept.items()) == ["b"]
        assert [record.key for record in await records.find("number")] == ["b"]
        await kept.forget()
        assert await records.find("number") == []

    use(tmp_path, scenario)


def test_changes_during_a_load_are_kept(tmp_path: Path) -> None:
    """A reset of one credential reloads all values while other credentials change theirs."""

    async def scenario(kept: RecordCache[int], records: SqliteRecords) -> None:
        for key in ("changed", "deleted", "same", "gone"):
            await kept.put(key, "", 0)
        await records.delete("number", "gone")
        loading = asyncio.create_task(kept.load())
        await asyncio.sleep(0)
        # The read has started already, so it returns the old values.
        await asyncio.gather(kept.put("changed", "", 1), kept.put("new", "", 2), kept.delete("deleted"))
        await loading
        assert {key: entry.value for key, entry in kept.items().items()} == {
            "changed": 1,
            "same": 0,
            "new": 2,
        }
        await kept.load()
        assert {key: entry.value for key, entry in kept.items().items()} == {
            "changed": 1,
            "same": 0,
            "new": 2,
        }

    use(tmp_path, scenario)
