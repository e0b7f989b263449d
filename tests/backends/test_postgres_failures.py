"""A PostgreSQL database that is down, or whose connections are lost."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import psycopg
import pytest
import uvloop
from postgres import PostgresServer, execute, go_on, kill_connections, pause
from psycopg import AsyncConnection
from replicas import RECOVERY_SECONDS, Ears, cache_of, opened, run

from emulator.backends.records import (
    Record,
    Records,
    StoreUnreadable,
)
from emulator.backends.records.cached import CachedRecords
from emulator.backends.records.postgres import PostgresRecords
from emulator.backends.records.postgres.address import Address
from emulator.backends.records.postgres.connections import Connections
from emulator.backends.unavailable import StoreUnavailable

QUICK_SECONDS = 2.0
"""Longest time of a call while the database is down."""


async def until_recovered(records: Records) -> int:
    """Call until the database can be used, and return how many calls failed. Each must fail quickly."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    failures = 0
    while True:
        begun = time.monotonic()
        try:
            await records.catch_up()
            await records.find("number")
        except StoreUnavailable:
            assert time.monotonic() - begun < QUICK_SECONDS
            assert time.monotonic() < deadline
            failures += 1
            await asyncio.sleep(0.01)
        else:
            return failures


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_killed_connections_are_made_again(
    postgres_url: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        kept, cached = cache_of(other), CachedRecords(other)
        ids = one.replica_id, other.replica_id
        for number in range(5):
            await one.put("number", "a", "me", {"n": number})
            await other.catch_up()
            await cached.get("number", "a")
            await asyncio.to_thread(kill_connections, postgres_url)
            # Others change it while this replica receives no notifications.
            await asyncio.to_thread(
                execute,
                postgres_url,
                "UPDATE face_emulator.records SET document = %s",
                json.dumps({"n": -number}),
            )
            await asyncio.gather(until_recovered(one), until_recovered(other))
            found = await cached.get("number", "a")
            assert found is not None
            assert (kept.get("a"), found.document) == (-number, {"n": -number})
        assert (one.replica_id, other.replica_id) == ids
        assert [replica.id for replica in await one.replicas()] == list(ids)

    run(postgres_url, scenario, loop)


def test_nothing_is_lost_or_doubled_while_connections_are_killed(postgres_url: str) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        done: list[int] = []
        ended = asyncio.Event()

        async def count(records: PostgresRecords) -> None:
            while not ended.is_set():
                try:
                    done.append(await records.count_up("a"))
                except StoreUnavailable:
                    unknown.append(1)
                    await asyncio.sleep(0.01)

        unknown: list[int] = []
        counting = [asyncio.create_task(count(records)) for records in (one, other) * 4]
        for _ in range(8):
            await asyncio.to_thread(kill_connections, postgres_url)
            await until_recovered(one)
        ended.set()
        await asyncio.gather(*counting)
        await until_recovered(one)
        (counter,) = await one.counters("a")
        assert len(set(done)) == len(done)
        assert len(done) <= counter.value <= len(done) + len(unknown)

    run(postgres_url, scenario)


def test_a_restart_of_the_database_is_survived(own_postgres_server: PostgresServer) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        kept = cache_of(other)
        await one.put("number", "a", "me", {"n": 1})
        await other.catch_up()
        made: list[Record] = []
        for mode in ("fast", "immediate"):
            made += [await one.create("made", f"{mode}-{number}", "me", {}) for number in range(30)]
            # An acknowledged change is stored, even if the database crashes right after it.
            await asyncio.to_thread(own_postgres_server.stop, mode)
            for call in (one.catch_up, lambda: one.get("number", "a"), lambda: one.count_up("a"), one.check):
                begun = time.monotonic()
                with pytest.raises(StoreUnavailable) as caught:
                    await call()
                assert time.monotonic() - begun < QUICK_SECONDS
                assert "a-secret" not in f"{caught.value!r} {caught.value}"
            await asyncio.to_thread(own_postgres_server.start)
            await asyncio.gather(until_recovered(one), until_recovered(other))
            assert kept.get("a") == 1
            assert await other.find("made") == made
        await one.put("number", "a", "me", {"n": 2})
        await other.catch_up()
        assert kept.get("a") == 2

    run(own_postgres_server.url(), scenario)


def test_a_start_waits_for_the_database(
    own_postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture, eventually: Callable[..., object]
) -> None:
    own_postgres_server.stop()

    async def scenario() -> None:
        records = PostgresRecords(own_postgres_server.url())
        opening = asyncio.create_task(records.open())
        await asyncio.to_thread(eventually, lambda: caplog.records)
        await asyncio.to_thread(own_postgres_server.start)
        await opening
        assert await records.count_up("a") == 1
        await records.close()

    asyncio.run(scenario())
    assert "waiting for the PostgreSQL database postgres at 127.0.0.1:" in caplog.messages[0]
    assert "a-secret" not in caplog.text


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://me:a-secret@127.0.0.1:1/none", "refused"),
        ("postgresql://me:a-secret@localhost:1/none?sslmode=disable", "refused"),
        ("postgresql://me:a-secret@/none?host=/no/such/folder", "No such file or directory"),
    ],
)
def test_a_start_without_a_database_ends_with_a_sentence(
    url: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreUnreadable) as caught:
        asyncio.run(PostgresRecords(url).open(wait_seconds=0.3))
    sentence = str(caught.value)
    assert sentence.startswith("the PostgreSQL database none at ")
    assert reason in sentence
    assert sentence.endswith("; check FACE_EMULATOR_DATABASE_URL")
    assert "\n" not in sentence
    assert "a-secret" not in sentence + caplog.text


def test_a_database_that_does_not_exist_is_not_waited_for(postgres_server: PostgresServer) -> None:
    begun = time.monotonic()
    with pytest.raises(StoreUnreadable, match='database "nowhere" does not exist'):
        asyncio.run(PostgresRecords(postgres_server.url("nowhere")).open())
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "url", ["postgresql://me:a%secret@host/db", "postgresql://me:a-secret@host:port/db", "secret"]
)
def test_a_malformed_url_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="must have the form `postgresql://user:password@host") as caught:
        PostgresRecords(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_database_that_hangs_is_given_up(postgres_url: str) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        kept = cache_of(one)
        ears = Ears(one, "number")
        await other.put("number", "a", "me", {"n": 1})
        await ears.wait()
        (pid,) = await asyncio.to_thread(
            execute,
            postgres_url,
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s::oid",
            one.replica_id,
        )
        await asyncio.to_thread(pause, int(str(pid[0])))
        try:
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await one.catch_up()
            assert time.monotonic() - begun < 6
            with pytest.raises(StoreUnavailable):
                await one.get("number", "a")
        finally:
            await asyncio.to_thread(go_on, int(str(pid[0])))
        await other.put("number", "a", "me", {"n": 2})
        await until_recovered(one)
        assert kept.get("a") == 2

    run(postgres_url, scenario)


class Crowded(Address):
    """A database that counts the connections that it is about to refuse, and allows two."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.counted = 0

    async def connect(self) -> AsyncConnection:
        self.counted += 1
        await asyncio.sleep(0.01)
        if self.counted > 2:
            asyncio.get_running_loop().call_later(0.01, self.leave)
            raise psycopg.OperationalError("FATAL:  too many connections for role")
        return await super().connect()

    def leave(self) -> None:
        self.counted -= 1


def test_a_connection_is_tried_again_if_calls_that_connect_at_once_are_all_refused(postgres_url: str) -> None:
    async def run() -> None:
        connections = Connections(Crowded(postgres_url))
        connections.open()

        async def call(number: int) -> int:
            async def work(connection: AsyncConnection) -> int:
                cursor = await connection.execute("SELECT %s::int", [number])
                row = await cursor.fetchone()
                return int(row[0]) if row is not None else -1

            return await connections.run(work)

        assert await asyncio.gather(*map(call, range(30))) == list(range(30))
        await connections.close()

    asyncio.run(run())


def test_calls_wait_for_a_connection_if_the_database_allows_no_more(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url:
        name = urlsplit(url).path[1:]
        # One connection listens, and two are for calls.
        postgres_server.execute(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 3")
        postgres_server.execute(f"ALTER DATABASE {name} OWNER TO {name}")

        async def scenario() -> None:
            async with opened(url.replace("emulator:a-secret", name)) as records:
                counts = await asyncio.gather(*(records.count_up("a") for _ in range(60)))
                assert sorted(counts) == list(range(1, 61))

        try:
            asyncio.run(scenario())
        finally:
            postgres_server.execute(f"ALTER DATABASE {name} OWNER TO emulator")
            execute(url, f"DROP OWNED BY {name}")
            postgres_server.execute(f"DROP ROLE {name}")
