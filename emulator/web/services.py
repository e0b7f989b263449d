"""What the emulator lends to every vendor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from emulator.backends.blobs import Blobs
from emulator.backends.queue import WorkQueue
from emulator.backends.records import Records
from emulator.clock import Clock
from emulator.ids import SeededIds
from emulator.pipelines.degrade import PictureFault, degrade
from emulator.tasks.runner import TaskRunner
from emulator.web.credentials import Credentials
from emulator.web.faults import Faults
from emulator.web.fetch import Fetcher
from emulator.web.journal import Journal
from emulator.web.meter import Meter


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

    async def degraded(self, data: bytes, fault: PictureFault | None) -> bytes:
        """Return a picture as ``fault`` leaves it."""
        return data if fault is None else await self.queue.run(degrade, data, fault)


def _services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services_of)]
"""What a route asks for to get them."""
