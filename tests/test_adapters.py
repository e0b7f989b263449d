from __future__ import annotations

import asyncio
import os

import pytest

from emulator.adapters import check_replicas
from emulator.backends.records import StoreUnreadable
from emulator.backends.records.postgres import PostgresRecords
from emulator.backends.replicas import OnlyReplica, RegisteredReplicas


def test_a_replica_with_other_settings_than_the_living_ones_does_not_start(postgres_url: str) -> None:
    async def run() -> None:
        first = PostgresRecords(postgres_url, settings="same")
        second = PostgresRecords(postgres_url, settings="same", role="worker")
        other = PostgresRecords(postgres_url, settings="other")
        await first.open()
        await check_replicas(RegisteredReplicas(first), first.place)
        await second.open()
        await check_replicas(RegisteredReplicas(second), second.place)
        await other.open()
        with pytest.raises(StoreUnreadable) as refusal:
            await check_replicas(RegisteredReplicas(other), other.place)
        assert f"the server with the process id {os.getpid()} on" in str(refusal.value)
        assert "another FACE_EMULATOR_BLOBS_URL or FACE_EMULATOR_SEED" in str(refusal.value)
        assert "a-secret" not in str(refusal.value)
        # When all others have stopped, the settings can be changed.
        await first.close()
        await second.close()
        await check_replicas(RegisteredReplicas(other), other.place)
        await other.close()

    asyncio.run(run())


def test_the_only_process_of_a_database_needs_no_check() -> None:
    asyncio.run(check_replicas(OnlyReplica(), "the data folder"))
