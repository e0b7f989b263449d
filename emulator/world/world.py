"""The world that every vendor stands on: everything that a tester bends and reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from emulator.backends.blobs import Blobs
from emulator.backends.fetch import Fetcher
from emulator.backends.queue import WorkQueue
from emulator.backends.records import Records
from emulator.backends.stateful import Check, Stateful
from emulator.clock import Clock
from emulator.ids import SeededIds
from emulator.pipelines.options import DEGRADE, PictureFault
from emulator.tasks.runner import TaskRunner
from emulator.webhooks.outbox import Outbox
from emulator.world.clocks import Clocks
from emulator.world.creations import Creations
from emulator.world.credentials import Credentials
from emulator.world.faults.engine import Faults
from emulator.world.journal.journal import Journal
from emulator.world.lifetimes import Lifetimes
from emulator.world.meter import Meter
from emulator.world.plans import Plans


@dataclass(frozen=True)
class World:
    """The ports and the state behind a vendor's routes and jobs."""

    clock: Clock
    clocks: Clocks
    ids: SeededIds
    credentials: Credentials
    records: Records
    blobs: Blobs
    queue: WorkQueue
    tasks: TaskRunner
    fetcher: Fetcher
    faults: Faults
    journal: Journal
    meter: Meter
    lifetimes: Lifetimes
    webhooks: Outbox
    plans: Plans
    creations: Creations = field(default_factory=Creations)
    scenarios: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a scenario's rules are replaced or removed."""
    _vendors_own: list[Stateful] = field(default_factory=list)

    def add(self, *stateful: Stateful) -> None:
        """Have what a vendor keeps loaded, checked and forgotten with everything else."""
        self._vendors_own.extend(stateful)

    @property
    def stateful(self) -> tuple[Stateful, ...]:
        """Everything that keeps state, in the order in which it is loaded and forgotten.

        Clocks come first, since the others ask for the time, and webhooks last: deliveries that are due
        go out as soon as they are loaded, as everything else says.
        """
        return (
            self.clocks,
            self.credentials,
            self.faults,
            self.tasks,
            self.meter,
            self.lifetimes,
            self.plans,
            self.journal,
            *self._vendors_own,
            self.webhooks,
        )

    @property
    def checks(self) -> Mapping[str, Check]:
        """What a document has to pass before a snapshot with it is restored, by kind."""
        return {kind: check for each in self.stateful for kind, check in each.checks.items()}

    async def load(self) -> None:
        """Read the records into memory: at the start, and after a restore."""
        for each in self.stateful:
            await each.load()

    async def forget(self, credential: str | None) -> None:
        """Drop what is held in memory of a credential, or everything."""
        for each in self.stateful:
            await each.forget(credential)

    async def reset(self, credential: str | None) -> None:
        """Forget a credential, or everything: records, counters, blobs and memory.

        Tasks that are under way are given up, and leave nothing behind. Since the counters begin again,
        the same calls get the same ids as the first time.
        """
        async with self.creations.stopped(credential), self.tasks.paused(credential):
            await self.records.forget(credential)
            await self.blobs.forget(credential)
            await self.forget(credential)

    async def degraded(self, data: bytes, fault: PictureFault | None) -> bytes:
        """Return a picture as ``fault`` leaves it."""
        return data if fault is None else await self.queue.run(DEGRADE, data, fault)
