"""What the emulator lends to every vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from emulator.backends.blobs import Blobs
from emulator.backends.queue import WorkQueue
from emulator.backends.records import Records
from emulator.backends.records.kept import Kept
from emulator.backends.snapshot import Check
from emulator.clock import Clock
from emulator.ids import SeededIds
from emulator.pipelines.options import DEGRADE, PictureFault
from emulator.tasks.runner import TaskRunner
from emulator.web.creations import Creations
from emulator.web.credentials import Credentials
from emulator.web.faults import Faults
from emulator.web.fetch import Fetcher
from emulator.web.journal import Journal
from emulator.web.lifetimes import Lifetimes
from emulator.web.meter import Meter
from emulator.web.plans import Plans
from emulator.webhooks.outbox import Outbox


@dataclass(frozen=True)
class Services:
    """The ports that a vendor's routes and jobs stand on."""

    clock: Clock
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
    forgetters: list[Callable[[str | None], Awaitable[object]]] = field(default_factory=list)
    """Called at a reset with its credential, or None for all: what holds state in memory too."""
    kept: list[Kept[Any]] = field(default_factory=list)
    """What is held in memory as the records say."""
    checks: dict[str, Check] = field(default_factory=dict)
    """By kind, what has to understand a vendor's own documents before a snapshot with them is restored."""
    loaders: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Called at the start, and when the records were replaced: what holds in memory what they say."""
    scenarios: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a scenario's rules are replaced or removed."""

    def hold(
        self,
        kept: Kept[Any],
        load: Callable[[], Awaitable[None]] | None = None,
        forget: Callable[[str | None], Awaitable[None]] | None = None,
    ) -> None:
        """Have ``kept`` loaded, checked and forgotten with everything else."""
        self.kept.append(kept)
        self.loaders.append(load or kept.load)
        self.forgetters.append(forget or kept.clear)

    async def load(self) -> None:
        """Have everybody read in memory what the records say."""
        for load in self.loaders:
            await load()
        # Last: deliveries that are due go out at once, as everything else says.
        await self.webhooks.start()

    async def degraded(self, data: bytes, fault: PictureFault | None) -> bytes:
        """Return a picture as ``fault`` leaves it."""
        return data if fault is None else await self.queue.run(DEGRADE, data, fault)


def _services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services_of)]
"""What a route asks for to get them."""
