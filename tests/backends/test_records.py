"""Behaviour of every adapter of Records. A new adapter joins the parameters of ``use`` in conftest.py."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from emulator.backends.records import (
    Change,
    Counter,
    CountTo,
    CountUp,
    Create,
    Document,
    Enqueue,
    Put,
    Records,
    Remove,
    Replace,
    StoreUnreadable,
)
from emulator.backends.records.sqlite import SqliteRecords, schema
from emulator.backends.records.sqlite.batching import BatchingConnection

R = TypeVar("R")
Use = Callable[[Callable[[Records], Awaitable[R]]], R]


def test_get_returns_the_stored_document(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        document = {"text": "ä", "number": 1.5, "nothing": None, "list": [1, {"deep": True}]}
        await records.create("task", "t1", "me", document)
        found = await records.get("task", "t1")
        assert found is not None
        assert (found.key, found.credential, found.document) == ("t1", "me", document)
        assert await records.get("file", "t1") is None
        assert await records.get("task", "t2") is None

    use(scenario)


def test_a_key_is_unique_within_a_kind(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        await records.create("task", "same", "me", {})
        await records.create("file", "same", "me", {})
        with pytest.raises(KeyError, match="same"):
            await records.create("task", "same", "you", {})

    use(scenario)


def test_concurrent_writes_succeed_or_fail_each_on_its_own(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        old = await records.create("task", "old", "me", {"n": 0})
        gone = await records.create("task", "gone", "me", {})
        await records.delete("task", "gone")

        def write(number: int) -> list[Change]:
            return [
                CountUp("all", "me", number),
                CountUp("few", "me", most=7),
                Create("task", f"t{number}", "me", {"n": number}),
            ]

        written = await asyncio.gather(
            records.create("task", "first", "me", {"n": "first"}),
            *(records.write(write(number)) for number in range(10)),
            records.write([CountUp("all", "me", 100), Replace("task", old, {"n": 1})]),
            records.write([CountUp("all", "me", 200), Replace("task", old, {"n": 2})]),
            records.write([CountUp("all", "me", 400), Replace("task", gone, {})]),
            records.write([CountUp("all", "me", 800), Remove("task", gone)]),
            records.write([CountUp("all", "me", 1600), Create("task", "old", "me", {})]),
            records.write([CountTo("level", "me", 5), Put("task", "put", "me", {"n": "put"})]),
            records.write([CountTo("level", "me", 3), Create("task", "put too", "me", {})]),
            records.create("task", "last", "me", {"n": "last"}),
            return_exceptions=True,
        )
        first, *made, last = written
        counted = [number for number, is_made in enumerate(made[:10]) if is_made is True]
        assert len(counted) == 7
        assert made[:10].count(False) == 3
        replaced, again, *others = made[10:]
        assert {replaced, again} == {True, False}
        assert others[:2] == [False, False]
        assert isinstance(others[2], KeyError)
        assert others[3:] == [True, True]
        assert await records.count("few", "me") == 7
        assert await records.count("all", "me") == sum(counted) + (100 if replaced else 200)
        assert await records.count("level", "me") == 5
        found = {record.key: record for record in await records.find("task")}
        assert found["old"].document == {"n": 1 if replaced else 2}
        assert found["put"].document == {"n": "put"}
        assert found.keys() == {
            "old",
            "first",
            "last",
            "put",
            "put too",
            *(f"t{number}" for number in counted),
        }
        assert [found["first"], found["last"]] == [first, last]
        assert [found[f"t{number}"].document["n"] for number in counted] == counted

    use(scenario)


def test_replace_fails_after_a_concurrent_change(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        await records.create("task", "t", "me", {"n": 0})
        mine = yours = await records.get("task", "t")
        assert mine is not None
        assert yours is not None
        assert await records.replace("task", yours, {"n": 1})
        assert not await records.replace("task", mine, {"n": 2})
        found = await records.get("task", "t")
        assert found is not None
        assert found.document == {"n": 1}

    use(scenario)


def test_a_deleted_document_cannot_be_replaced(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        await records.create("task", "t", "me", {})
        record = await records.get("task", "t")
        assert record is not None
        assert await records.delete("task", "t")
        assert not await records.delete("task", "t")
        assert not await records.replace("task", record, {})
        assert await records.get("task", "t") is None
        # A new document with the same key and version cannot be replaced through the old record.
        await records.create("task", "t", "me", {})
        assert not await records.replace("task", record, {"n": 1})

    use(scenario)


def test_find_filters_by_kind_and_credential_in_creation_order(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        for key, credential in [("b", "me"), ("a", "you"), ("c", "me")]:
            await records.create("task", key, credential, {})
        await records.create("file", "d", "me", {})
        assert [record.key for record in await records.find("task")] == ["b", "a", "c"]
        assert [record.key for record in await records.find("task", "me")] == ["b", "c"]
        assert await records.find("task", "nobody") == []

    use(scenario)


def test_concurrent_counts_are_consecutive(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        counts = await asyncio.gather(*(records.count_up("a") for _ in range(50)))
        assert sorted(counts) == list(range(1, 51))
        assert await records.count_up("b") == 1
        assert await records.count_up("a", "me") == 1
        assert await records.count_up("a", "you") == 1
        assert await records.count_up("a") == 51

    use(scenario)


def test_drawn_numbers_are_consecutive_and_stored_with_what_has_them(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        assert await records.count_up("ids", "me", 3) == 3
        drawn = await asyncio.gather(*(records.draw("ids", "me", 2) for _ in range(5)))
        drawn.sort(key=lambda each: each[0])
        assert [last for last, _ in drawn] == [5, 7, 9, 11, 13]
        # The last one is written before another one.
        for number, (_, changes) in [*enumerate(drawn)][-1:1:-1]:
            assert await records.write([*changes, Create("k", str(number), "me", {})])
        assert await records.count("ids", "me") == 13
        assert (await records.count_up("ids", "me"), (await records.draw("ids", "me"))[0]) == (14, 15)
        assert (await records.draw("ids", "you"))[0] == 1
        saved = [entry async for entry in records.export()]
        await records.forget("me")
        assert ((await records.draw("ids", "me"))[0], (await records.draw("ids", "you"))[0]) == (1, 2)
        await records.restore(saved)
        last, changes = await records.draw("ids", "me", 5)
        assert last >= 19  # after a restart, what was not written can be drawn again
        assert await records.write(changes)
        assert await records.count("ids", "me") == last
        assert await records.write([CountTo("ids", "me", 7), CountTo("ids", "them", 7)])
        assert (await records.count("ids", "me"), await records.count("ids", "them")) == (last, 7)

    use(scenario)


def test_a_counter_with_a_limit_never_exceeds_it(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        assert await records.count("units", "me") == 0
        taken = await asyncio.gather(
            *(records.write([CountUp("units", "me", 2, most=7), Put("k", "a", "me", {})]) for _ in range(9))
        )
        assert (sum(taken), await records.count("units", "me")) == (3, 6)
        assert await records.write([CountUp("units", "me", -2, most=7)])
        assert await records.write([CountUp("units", "me", 3, most=7)])
        assert (await records.count("units", "me"), await records.count("units", "you")) == (7, 0)

    use(scenario)


def test_appended_documents_get_consecutive_numbers_in_the_order_of_their_serial_numbers(
    use: Use[None],
) -> None:
    async def scenario(records: Records) -> None:
        await records.append("log", "first", "me", {"last": 77, "ä": [1.5, None]}, by=3)
        await records.create("log", "other", "me", {})
        await asyncio.gather(*(records.append("log", str(by), "", {}, by=by) for by in (1, 2, 0, 5)))
        assert (await records.append("other", "first", "me", {})).document == {"last": 1}
        found = await records.find("log", after=(await records.find("log"))[1].serial)
        lasts = [record.document["last"] for record in found]
        steps = [int(record.key) for record in found]
        assert lasts == [3 + sum(steps[: nth + 1]) for nth in range(4)]
        first = await records.get("log", "first")
        assert first is not None
        assert (first.document, first.credential) == ({"last": 3, "ä": [1.5, None]}, "me")
        replaced = await records.replace("log", first, {})
        assert replaced is not None
        assert replaced.serial == first.serial

    use(scenario)


def test_a_key_is_appended_once(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        appended = await records.append("log", "k", "me", {"a": 1}, by=2)
        with pytest.raises(KeyError, match="k"):
            await records.append("log", "k", "me", {}, by=2)
        assert await records.get("log", "k") == appended
        assert (await records.append("log", "l", "me", {}, by=0)).document == {"last": 2}

    use(scenario)


def test_no_number_is_used_twice(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        await records.append("log", "a", "me", {}, by=5)
        await records.forget("me")
        assert (await records.append("log", "b", "me", {})).document == {"last": 6}
        await records.forget(None)
        assert (await records.append("log", "c", "me", {})).document == {"last": 7}
        await records.restore([Document("log", "d", "me", {"last": 3}), Document("log", "e", "me", {})])
        assert (await records.append("log", "f", "me", {})).document == {"last": 8}
        restored = [("log", 20), ("log", 19), ("other", 2), ("text", "9")]
        await records.restore([Document(kind, str(last), "me", {"last": last}) for kind, last in restored])
        assert (await records.append("log", "f", "me", {})).document == {"last": 21}
        assert (await records.append("other", "f", "me", {})).document == {"last": 3}
        assert (await records.append("text", "f", "me", {})).document == {"last": 1}

    use(scenario)


async def everything_in(records: Records) -> list[Document | Counter]:
    return [entry async for entry in records.export()]


async def fill(records: Records) -> list[Document | Counter]:
    """Store documents and counters, and return them."""
    await records.create("task", "t2", "me", {"n": [1, None, "ä"]})
    await records.create("task", "t1", "you", {})
    await records.create("file", "t1", "", {"f": 1.5})
    for name, credential in [("a", ""), ("a", "me"), ("b", "me"), ("a", "me")]:
        await records.count_up(name, credential)
    return [
        Document("task", "t2", "me", {"n": [1, None, "ä"]}),
        Document("task", "t1", "you", {}),
        Document("file", "t1", "", {"f": 1.5}),
        Counter("a", "", 1),
        Counter("a", "me", 2),
        Counter("b", "me", 1),
    ]


@pytest.mark.parametrize("credential", ["me", "you", "", "nobody", None])
def test_forget_removes_only_the_documents_and_counters_of_a_credential(
    use: Use[None], credential: str | None
) -> None:
    async def scenario(records: Records) -> None:
        filled = await fill(records)
        assert await everything_in(records) == filled
        await records.forget(credential)
        assert await everything_in(records) == [
            entry for entry in filled if credential not in {None, entry.credential}
        ]
        if credential == "me":
            assert await records.count_up("a", "me") == 1

    use(scenario)


def test_restore_replaces_everything_with_the_export(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        filled = await fill(records)
        await records.delete("task", "t1")
        await records.put("task", "t2", "you", {})
        await records.create("task", "t3", "me", {})
        await records.count_up("c", "me")
        stale = await records.get("task", "t2")
        assert stale is not None
        await records.restore(iter(filled))
        assert await everything_in(records) == filled
        assert not await records.replace("task", stale, {})
        assert await records.count_up("a", "me") == 3

    use(scenario)


def test_an_interrupted_restore_changes_nothing(use: Use[None]) -> None:
    def broken() -> Iterator[Document | Counter]:
        yield Document("task", "t9", "me", {})
        raise ZeroDivisionError

    async def scenario(records: Records) -> None:
        filled = await fill(records)
        with pytest.raises(ZeroDivisionError):
            await records.restore(broken())
        with pytest.raises(KeyError, match="t8"):
            await records.restore([Document("task", "t8", "me", {})] * 2)
        assert await everything_in(records) == filled

    use(scenario)


def test_an_export_is_not_affected_by_later_changes(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        filled = await fill(records)
        export = records.export()
        seen = [await anext(export)]
        await records.forget(None)
        seen += [entry async for entry in export]
        assert seen == filled
        assert await everything_in(records) == []

    use(scenario)


def test_a_write_waits_for_a_running_restore(use: Use[None]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[Document]:
        begun.set()
        assert go_on.wait(30)
        yield Document("task", "t", "me", {"n": "restored"})

    async def scenario(records: Records) -> None:
        restoring = asyncio.create_task(records.restore(slow()))
        assert await asyncio.to_thread(begun.wait, 30)
        counting = asyncio.create_task(records.put("task", "t", "me", {"n": "later"}))
        done, _ = await asyncio.wait({counting}, timeout=0.2)
        assert not done
        go_on.set()
        await restoring
        await counting
        assert [record.version for record in await records.find("task")] == [2]

    use(scenario)


def test_write_makes_every_kind_of_change(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        old = await records.create("task", "old", "me", {"n": 0})
        gone = await records.create("task", "gone", "me", {})
        await records.create("task", "put", "me", {"n": 0})
        assert await records.write(
            [
                Replace("task", old, {"n": 1}),
                Remove("task", gone),
                Create("task", "gone", "you", {"again": True}),
                Put("task", "put", "you", {"n": 2}),
                Put("file", "put", "you", {"n": 3}),
                CountUp("b", ""),
                CountUp("a", "me", 5),
                CountUp("b", "", 2),
                Enqueue("old"),
            ]
        )
        assert await everything_in(records) == [
            Document("task", "old", "me", {"n": 1}),
            Document("task", "put", "you", {"n": 2}),
            Document("task", "gone", "you", {"again": True}),
            Document("file", "put", "you", {"n": 3}),
            Counter("a", "me", 5),
            Counter("b", "", 3),
        ]
        assert [(each.key, each.version) for each in await records.find("task")] == [
            ("old", 2),
            ("put", 2),
            ("gone", 1),
        ]

    use(scenario)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize("broken", ["replace", "remove", "create", "first count", "count"])
def test_write_changes_all_or_nothing(use: Use[None], broken: str, *, is_first: bool) -> None:
    async def scenario(records: Records) -> None:
        stale = await records.create("task", "t", "me", {"n": 0})
        other = await records.create("task", "u", "me", {"n": 0})
        await records.put("task", "t", "me", {"n": 1})
        await records.count_up("full", "me", 2)
        before = await everything_in(records)
        changes: dict[str, Change] = {
            "replace": Replace("task", stale, {"n": 2}),
            "remove": Remove("task", stale),
            "create": Create("task", "t", "me", {"n": 2}),
            "first count": CountUp("new", "me", 4, most=3),
            "count": CountUp("full", "me", 2, most=3),
        }
        good: list[Change] = [
            Put("task", "t", "me", {"n": 3}),
            Remove("task", other),
            Create("task", "v", "me", {}),
            CountUp("a", ""),
        ]
        together = [changes[broken], *good] if is_first else [*good, changes[broken]]
        if broken == "create":
            with pytest.raises(KeyError, match="t"):
                await records.write(together)
        else:
            assert not await records.write(together)
        assert await everything_in(records) == before
        assert await records.write(good)

    use(scenario)


def test_concurrent_writes_of_the_same_documents_and_counters_all_succeed(use: Use[None]) -> None:
    """The writes lock in different orders, so a database may have to abort a write, which begins again."""

    async def scenario(records: Records) -> None:
        names = ["a", "b", "c"]

        async def write(number: int) -> bool:
            ordered = names if number % 2 else names[::-1]
            puts = [Put("task", name, "me", {"n": number}) for name in ordered]
            return await records.write([*puts, *(CountUp(name, "") for name in ordered)])

        assert all(await asyncio.gather(*(write(number) for number in range(20))))
        assert await records.counters("") == [Counter(name, "", 20) for name in names]
        found = await records.find("task")
        assert {each.version for each in found} == {20}
        assert len({each.document["n"] for each in found}) == 1

    use(scenario)


def test_of_concurrent_replacements_one_succeeds(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        record = await records.create("task", "t", "me", {"n": 0})
        replaced = await asyncio.gather(
            *(records.replace("task", record, {"n": number}) for number in range(1, 11)),
        )
        (winner,) = filter(None, replaced)
        assert await records.get("task", "t") == winner
        assert (winner.serial, winner.version) == (record.serial, 2)
        created = await asyncio.gather(
            *(records.create("task", "u", "me", {"n": number}) for number in range(10)),
            return_exceptions=True,
        )
        (first,) = (each for each in created if not isinstance(each, KeyError))
        assert await records.get("task", "u") == first

    use(scenario)


def test_the_methods_that_write_return_what_is_stored(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        created = await records.create("task", "t", "me", {"n": 1})
        assert await records.get("task", "t") == created
        put = await records.put("task", "t", "you", {"n": 2})
        assert await records.get("task", "t") == put
        assert (put.serial, put.version) == (created.serial, created.version + 1)
        replaced = await records.replace("task", put, {"n": 3})
        assert replaced is not None
        assert await records.get("task", "t") == replaced
        assert await records.find("task") == [replaced]
        new = await records.put("task", "u", "me", {})
        assert await records.find("task") == [replaced, new]

    use(scenario)


def test_find_returns_documents_after_a_serial_number(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        made = [
            await records.create("task", str(number), "me" if number % 2 else "you", {})
            for number in range(6)
        ]
        for done in range(7):
            after = made[done - 1].serial if done else 0
            assert await records.find("task", after=after) == made[done:]
            assert await records.find("task", "me", after=after) == [
                each for each in made[done:] if each.credential == "me"
            ]

    use(scenario)


def test_records_survive_reopening(use: Use[None]) -> None:
    async def store(records: Records) -> None:
        await records.create("task", "t", "me", {"n": 1})
        await records.count_up("a")

    async def look(records: Records) -> None:
        assert [record.document for record in await records.find("task")] == [{"n": 1}]
        assert await records.count_up("a") == 2

    use(store)
    use(look)


def test_sqlite_refuses_and_keeps_a_file_of_another_format(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    before = path.read_bytes()
    with pytest.raises(StoreUnreadable, match=r"records\.sqlite3 cannot be used: it has format 0") as caught:
        asyncio.run(SqliteRecords(path).open())
    assert caught.value.place == str(path)
    assert path.read_bytes() == before


def test_sqlite_refuses_and_keeps_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    path.write_bytes(b"What is this?" * 1000)
    with pytest.raises(StoreUnreadable, match=r"records\.sqlite3 cannot be used: file is not a database"):
        asyncio.run(SqliteRecords(path).open())
    assert path.read_bytes() == b"What is this?" * 1000


@pytest.mark.parametrize(("options", "synchronous"), [({"is_temporary": True}, 0), ({}, 1)])
def test_sqlite_waits_for_the_disk_unless_the_file_is_temporary(
    tmp_path: Path, options: dict[str, bool], synchronous: int
) -> None:
    async def setting() -> int:
        path = tmp_path / "records.sqlite3"
        connection = await BatchingConnection.connect(path, 1)
        try:
            await schema.prepare(connection, path, **options)
            return await schema.number(connection, "PRAGMA synchronous")
        finally:
            await connection.close()

    assert asyncio.run(setting()) == synchronous


def test_sqlite_raises_an_error_when_it_is_not_open(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not open"):
        asyncio.run(SqliteRecords(tmp_path / "records.sqlite3").get("task", "t"))


def test_documents_are_counted_by_the_value_of_a_member(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        assert await records.tally("task", "state") == {}
        for number, state in enumerate(["queued", "ended", "queued", "queued"]):
            await records.create(
                "task",
                f"t{number}",
                f"me{number % 2}",
                {"state": state, "deep": {"state": "no", "text": "\0 \\u0000 \ud800 \\ud800 \U0001f600"}},
            )
        await records.create("file", "f", "me0", {"state": "queued"})
        assert await records.tally("task", "state") == {"queued": 3, "ended": 1}
        found = await records.get("task", "t0")
        assert found is not None
        await records.replace("task", found, {"state": "ended"})
        await records.delete("task", "t2")
        assert await records.tally("task", "state") == {"queued": 1, "ended": 2}
        await records.forget("me1")
        assert await records.tally("task", "state") == {"ended": 1}

    use(scenario)
