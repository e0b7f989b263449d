"""Behaviour that only a shared database has."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest
import uvloop
from postgres import execute
from replicas import RECOVERY_SECONDS, Ears, cache_of, opened, run

from emulator.backends.records import (
    Counter,
    CountUp,
    Create,
    Document,
    Enqueue,
    Replace,
    StoreUnreadable,
)
from emulator.backends.records.cached import CachedRecords
from emulator.backends.records.postgres import PostgresRecords, schema, statements
from emulator.backends.unavailable import StoreUnavailable


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_catch_up_makes_every_acknowledged_change_visible(
    postgres_url: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        kept = cache_of(other)
        cached = CachedRecords(other)
        for number in range(500):
            key = str(number % 7)
            await one.put("number", key, "me", {"n": number})
            await other.catch_up()
            assert kept.get(key) == number
            found = await cached.get("number", key)
            assert found is not None
            assert found.document == {"n": number}

    run(postgres_url, scenario, loop)


def test_concurrent_calls_all_see_the_changes_made_before_them(postgres_url: str) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        kept = cache_of(other)

        async def change_and_see(key: str) -> None:
            for number in range(50):
                await one.put("number", key, "me", {"n": number})
                await other.catch_up()
                assert kept.get(key) == number

        await asyncio.gather(*(change_and_see(str(key)) for key in range(10)))

    run(postgres_url, scenario)


def test_listeners_are_notified_once_of_every_kind_of_change(postgres_url: str) -> None:
    long = "k" * 9000

    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        ears = Ears(other)

        async def heard() -> list[str | None]:
            await other.catch_up()
            return ears.take()

        assert await heard() == []
        record = await one.create("task", "a\0\x01", "me", {})
        assert await heard() == ["a\0\x01"]
        assert await one.replace("task", record, {"n": 1})
        assert await heard() == ["a\0\x01"]
        await one.put("task", "b", "me", {})
        await one.put("file", "c", "me", {})
        await one.count_up("d", "me")
        assert await heard() == ["b"]
        await one.delete("task", "b")
        assert await heard() == ["b"]
        await one.put("task", long, "me", {})
        assert await heard() == [None]
        assert not await one.write([Create("task", "e", "me", {}), Replace("task", record, {})])
        assert await heard() == []
        assert await one.write([Create("task", key, "me", {}) for key in "fgh"])
        assert await heard() == ["f", "g", "h"]
        await one.forget("nobody")
        assert await heard() == [None]
        await one.restore([Document("task", str(number), "me", {}) for number in range(1200)])
        assert await heard() == [None]
        await other.put("task", "mine", "me", {})
        assert await heard() == ["mine"]

    run(postgres_url, scenario)


def test_listeners_are_notified_without_any_call(postgres_url: str) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        ears = Ears(other)
        for number in range(20):
            await one.put("task", str(number), "me", {})
            await ears.wait()
            assert ears.take() == [str(number)]

    run(postgres_url, scenario, uvloop.new_event_loop)


def test_many_changes_of_a_document_give_one_notification(postgres_url: str) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        ears = Ears(other, "slow")
        go = asyncio.Event()

        async def slow(_: str | None) -> None:
            await go.wait()

        other.listen("slow", slow)
        await one.put("slow", "a", "me", {})
        await ears.wait()
        for key in "abcab":
            await one.put("slow", key, "me", {})
        waiting = asyncio.create_task(other.catch_up())
        await asyncio.sleep(0)
        assert ears.take() == ["a"]
        go.set()
        await waiting
        assert sorted(filter(None, ears.take())) == ["a", "b", "c"]

    run(postgres_url, scenario)


def test_an_error_of_a_listener_does_not_affect_others(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        async def broken(_: str | None) -> None:
            raise ZeroDivisionError

        other.listen("task", broken)
        ears = Ears(other)
        for key in "ab":
            await one.put("task", key, "me", {})
            await other.catch_up()
            assert ears.take() == [key]

    run(postgres_url, scenario)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError] * 2


def test_a_notification_is_repeated_if_the_listener_could_not_read(postgres_url: str) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        failures = [StoreUnavailable("away"), StoreUnavailable("away")]

        async def away(_: str | None) -> None:
            if failures:
                raise failures.pop()

        other.listen("task", away)
        ears = Ears(other)
        await one.put("task", "a", "me", {})
        for _ in range(2):
            with contextlib.suppress(StoreUnavailable):
                await other.catch_up()
        await other.catch_up()
        assert ears.take() == ["a"]

    run(postgres_url, scenario)


def test_a_notification_that_failed_is_not_repeated_at_once(postgres_url: str) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        moments: asyncio.Queue[float] = asyncio.Queue()

        async def away(_: str | None) -> None:
            await moments.put(time.monotonic())
            raise StoreUnavailable("away")

        other.listen("task", away)
        await one.put("task", "a", "me", {})
        first, _, third = [await asyncio.wait_for(moments.get(), RECOVERY_SECONDS) for _ in range(3)]
        assert third - first > 0.3

    run(postgres_url, scenario)


def test_a_cancelled_call_does_not_affect_others(postgres_url: str) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        kept = cache_of(other)
        for number in range(20):
            await one.put("number", "a", "me", {"n": number})
            cancelled: list[asyncio.Task[Any]] = [asyncio.create_task(other.catch_up()) for _ in range(3)]
            cancelled.append(asyncio.create_task(other.put("number", "b", "me", {"n": number})))
            waiting = asyncio.create_task(other.catch_up())
            for _ in range(number % 5):
                await asyncio.sleep(0)
            for task in cancelled:
                task.cancel()
            await waiting
            assert kept.get("a") == number
            await asyncio.wait(cancelled)
        await other.put("number", "b", "me", {"n": -1})
        await other.catch_up()
        assert kept.get("b") == -1

    run(postgres_url, scenario)


def test_ten_processes_can_create_the_tables_at_once(postgres_url: str) -> None:
    async def scenario() -> None:
        opening = [PostgresRecords(postgres_url) for _ in range(10)]
        # They must not have to try again.
        await asyncio.gather(*(records.open(wait_seconds=0) for records in opening))
        assert len({records.replica_id for records in opening}) == 10
        counts = await asyncio.gather(*(records.count_up("a") for records in opening))
        assert sorted(counts) == list(range(1, 11))
        await asyncio.gather(*(records.close() for records in opening))

    asyncio.run(scenario())
    assert execute(postgres_url, "SELECT version FROM face_emulator.format") == [(len(schema.MIGRATIONS),)]


def test_a_newer_emulator_migrates_and_an_older_one_refuses(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def store() -> None:
        async with opened(postgres_url) as records:
            await records.put("task", "t", "me", {"n": 1})

    async def migrate() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for records in await asyncio.gather(
                *(stack.enter_async_context(opened(postgres_url)) for _ in range(5))
            ):
                assert [record.document for record in await records.find("task")] == [{"n": 1}]

    asyncio.run(store())
    with monkeypatch.context() as newer:
        script = "ALTER TABLE face_emulator.records ADD COLUMN more text; CREATE TABLE face_emulator.more ()"
        newer.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, script))
        asyncio.run(migrate())
    with pytest.raises(StoreUnreadable) as caught:
        asyncio.run(store())
    known = len(schema.MIGRATIONS)
    assert str(caught.value).endswith(
        f"cannot be used: its tables have version {known + 1}, but this emulator supports version {known}; "
        "use a newer emulator, or another database"
    )


def test_the_database_can_be_opened_again(postgres_url: str) -> None:
    records = PostgresRecords(postgres_url)

    async def count() -> int:
        await records.open()
        counts = await asyncio.gather(*(records.count_up("a") for _ in range(20)))
        await records.catch_up()
        await records.close()
        with pytest.raises(StoreUnavailable, match="it is not open"):
            await records.catch_up()
        with pytest.raises(StoreUnavailable, match="it is not open"):
            await records.get("task", "t")
        return max(counts)

    assert [asyncio.run(count()) for _ in range(2)] == [20, 40]


def test_only_living_replicas_are_listed(postgres_url: str) -> None:
    async def scenario() -> None:
        async with opened(postgres_url) as one:
            async with opened(postgres_url, role="worker", workers=3) as other:
                found = await one.replicas()
                assert [(each.id, each.role, each.workers) for each in found] == [
                    (one.replica_id, "server", 0),
                    (other.replica_id, "worker", 3),
                ]
                assert await other.replicas() == found
                gone = other.replica_id
            assert not await one.is_alive(gone)
            assert await one.is_alive(one.replica_id)
            # A process that was killed leaves its row.
            await asyncio.to_thread(
                execute,
                postgres_url,
                "INSERT INTO face_emulator.replicas (id, role, host, pid, version, workers) "
                "VALUES (77, 'server', 'h', 1, '1', 1)",
            )
            assert await one.is_alive(77)
            for seconds, rows in ((6, 2), (61, 1)):
                await asyncio.to_thread(
                    execute,
                    postgres_url,
                    "UPDATE face_emulator.replicas SET missing_since = now() - make_interval(secs => %s) "
                    "WHERE id = 77",
                    seconds,
                )
                assert [each.id for each in await one.replicas()] == [one.replica_id]
                left = await asyncio.to_thread(
                    execute, postgres_url, "SELECT count(*) FROM face_emulator.replicas"
                )
                assert left == [(rows,)]

    asyncio.run(scenario())


def test_tasks_are_added_to_the_queue_in_the_same_transaction(postgres_url: str) -> None:
    async def enqueue(connection: Any, tasks: Sequence[Enqueue]) -> None:
        for task in tasks:
            await connection.execute("INSERT INTO queue VALUES (%s)", (task.task_id,))
        if tasks[0].waits:
            raise ZeroDivisionError

    async def scenario() -> None:
        async with opened(postgres_url, enqueue=enqueue) as records:
            record = await records.create("task", "a", "me", {})
            assert await records.write([Replace("task", record, {"n": 1}), Enqueue("a"), Enqueue("b")])
            # A failed change leaves no trace.
            assert not await records.write([Enqueue("c"), Replace("task", record, {"n": 2})])
            with pytest.raises(KeyError):
                await records.write([Enqueue("d"), Create("task", "a", "me", {})])
            with pytest.raises(ZeroDivisionError):
                await records.write([CountUp("a", ""), Enqueue("e", waits=True)])
            assert await records.counters("") == []
            assert await records.write([CountUp("a", ""), Enqueue("f")])
            assert await records.counters("") == [Counter("a", "", 1)]

    execute(postgres_url, "CREATE TABLE queue (id text)")
    asyncio.run(scenario())
    assert execute(postgres_url, "SELECT id FROM queue ORDER BY id") == [("a",), ("b",), ("f",)]


@pytest.mark.parametrize(("kind", "member"), [("task", "finished_at"), ("webhook/delivery", "ended")])
def test_unfinished_documents_are_found_by_an_index(postgres_url: str, kind: str, member: str) -> None:
    async def scenario(one: PostgresRecords, _other: PostgresRecords) -> None:
        await one.write([Create(kind, str(number), "me", {member: 1}) for number in range(300)])
        await one.create(kind, "last", "me", {member: None})
        assert [record.key for record in await one.find(kind, unset=member)] == ["last"]

    run(postgres_url, scenario)
    statement, values = statements.find(kind, None, 0, member)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("ANALYZE face_emulator.records")
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {statement}", values))
    assert "Index Scan using unfinished_" in plan
