"""Work that one of several servers does for all of them at the start."""

from __future__ import annotations

import asyncio

import pytest
from replicas import opened

from emulator.backends.records.postgres import PostgresRecords
from emulator.backends.records.sqlite import SqliteRecords
from emulator.backends.replicas import OnlyReplica, RegisteredReplicas
from emulator.world.starts import KIND, Starts


def starts_of(records: PostgresRecords) -> Starts:
    return Starts(records, RegisteredReplicas(records))


def test_one_process_runs_the_block_and_the_others_wait(postgres_url: str) -> None:
    happened: list[str] = []

    async def start(records: PostgresRecords) -> None:
        async with starts_of(records).once("init") as is_mine:
            if is_mine:
                happened.append("begun")
                await asyncio.sleep(0.3)
                happened.append("done")
        happened.append("ready")

    async def scenario() -> None:
        async with opened(postgres_url) as one, opened(postgres_url) as two, opened(postgres_url) as three:
            await asyncio.gather(*map(start, (one, two, three)))
            assert happened == ["begun", "done", "ready", "ready", "ready"]
            await two.forget(None)  # a reset lets it happen again
            await start(three)
            assert happened[5:] == ["begun", "done", "ready"]

    asyncio.run(scenario())


def test_after_a_failure_another_process_runs_the_block(postgres_url: str) -> None:
    async def scenario() -> None:
        async with opened(postgres_url) as one, opened(postgres_url) as other:
            with pytest.raises(ValueError, match="a bad hook"):
                async with starts_of(one).once("init"):
                    raise ValueError("a bad hook")
            for is_first in (True, False):
                async with starts_of(other).once("init") as is_mine:
                    assert is_mine == is_first

    asyncio.run(scenario())


def test_after_a_death_another_process_runs_the_block(postgres_url: str) -> None:
    async def scenario() -> None:
        async with opened(postgres_url) as dead, opened(postgres_url) as other:
            # No replica has had this id.
            await dead.create(KIND, "init", "", {"owner": "0", "is_done": False})
            async with starts_of(other).once("init") as is_mine:
                assert is_mine

    asyncio.run(scenario())


def test_a_single_process_always_runs_the_block(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def scenario() -> None:
        records = SqliteRecords(tmp_path_factory.mktemp("records") / "records.sqlite3")
        await records.open()
        for _ in range(2):
            async with Starts(records, OnlyReplica()).once("init") as is_mine:
                assert is_mine
        assert await records.find(KIND) == []
        await records.close()

    asyncio.run(scenario())
