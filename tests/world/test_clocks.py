"""Changes of clocks by several processes at once, and changes that cannot be stored."""

from __future__ import annotations

import asyncio

import pytest
from replicas import run

from emulator.backends.records.postgres import PostgresRecords
from emulator.backends.records.sqlite import SqliteRecords
from emulator.backends.unavailable import StoreUnavailable
from emulator.clock import Clock, Setting
from emulator.world.clocks import Clocks


@pytest.mark.parametrize("credential", ["", "me"], ids=["default", "own"])
def test_two_processes_can_advance_a_clock_at_once(postgres_url: str, credential: str) -> None:
    async def scenario(one: PostgresRecords, other: PostgresRecords) -> None:
        clocks = [Clock(1000.0), Clock(1000.0)]
        stored = [Clocks(clock, records) for clock, records in zip(clocks, (one, other), strict=True)]
        await asyncio.gather(
            *(
                stored[number % 2].change(credential, lambda setting: setting.advanced(1.0))
                for number in range(40)
            )
        )
        for clock, records in zip(clocks, (one, other), strict=True):
            await records.catch_up()
            assert clock.now(credential) == 1040.0

    run(postgres_url, scenario)


def test_a_change_that_cannot_be_stored_does_not_happen(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def away(*_given: object) -> None:
        raise StoreUnavailable("away")

    async def scenario() -> None:
        records = SqliteRecords(tmp_path_factory.mktemp("records") / "records.sqlite3")
        await records.open()
        clock = Clock(1000.0)
        clocks = Clocks(clock, records)
        with monkeypatch.context() as patched:
            patched.setattr(records, "create", away)
            with pytest.raises(StoreUnavailable):
                await clocks.change("me", lambda setting: setting.advanced(5.0))
        assert clock.now("me") == 1000.0
        await clocks.change("me", Setting.running)
        assert clock.setting("me").frozen_at is None
        await records.close()

    asyncio.run(scenario())
