"""What the emulator lends to every vendor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
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
    forgetters: list[Callable[[str | None], None]] = field(default_factory=list)
    """Called at a reset with its credential, or None for all: what holds state outside the records."""
    loaders: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Called at the start, and when the records were replaced: what holds in memory what they say."""

    async def degraded(self, data: bytes, fault: PictureFault | None) -> bytes:
        """Return a picture as ``fault`` leaves it."""
        return data if fault is None else await self.queue.run(degrade, data, fault)


def _services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services_of)]
"""What a route asks for to get them."""
