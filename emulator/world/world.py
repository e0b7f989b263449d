"""The state and the services that all vendors share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from emulator.backends.blobs import Blobs
from emulator.backends.fetch import Fetcher
from emulator.backends.queue import WorkQueue
from emulator.backends.records import Records
from emulator.backends.replicas import Replicas
from emulator.backends.stateful import Check, EntryCheck, Stateful
from emulator.backends.unavailable import StoreUnavailable
from emulator.clock import Clock
from emulator.face.errors import ImageUndecodable
from emulator.ids import SeededIds
from emulator.pipelines.common import DEGRADE, PictureFault
from emulator.tasks.runner import TaskRunner
from emulator.webhooks.outbox import Outbox
from emulator.world.call_counts import CallCounts
from emulator.world.clocks import Clocks
from emulator.world.creations import Creations
from emulator.world.credentials import Credentials
from emulator.world.faults.engine import Faults
from emulator.world.journal.bodies import Bodies
from emulator.world.journal.journal import Journal
from emulator.world.lifetimes import Lifetimes
from emulator.world.meter import Meter
from emulator.world.plans.plans import Plans
from emulator.world.rate_limit import RateLimits
from emulator.world.request_ids import RequestIds
from emulator.world.starts import Starts


@dataclass(frozen=True)
class World:
    """The services and the state that the routes and jobs of all vendors share."""

    clock: Clock
    clocks: Clocks
    ids: SeededIds
    request_ids: RequestIds
    credentials: Credentials
    records: Records
    replicas: Replicas
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
    rate_limits: RateLimits
    starts: Starts
    bodies: Bodies = field(default_factory=Bodies)
    call_counts: CallCounts = field(default_factory=CallCounts)
    creations: Creations = field(default_factory=Creations)
    scenarios: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a scenario's rules are replaced or removed."""
    _vendors_own: list[Stateful] = field(default_factory=list)

    def add(self, *stateful: Stateful) -> None:
        """Register state of a vendor, so that it is loaded, checked and deleted with all other state."""
        self._vendors_own.extend(stateful)

    @property
    def stateful(self) -> tuple[Stateful, ...]:
        """All objects that keep state, in the order in which their state is loaded and deleted.

        Request ids and clocks come first, because the other objects need them. Webhooks come last, because
        loading them sends the webhooks that are due, and sending depends on all other state.
        """
        return (
            self.request_ids,
            self.clocks,
            self.credentials,
            self.faults,
            self.tasks,
            self.meter,
            self.lifetimes,
            self.rate_limits,
            self.plans,
            self.journal,
            self.bodies,
            self.starts,
            *self._vendors_own,
            self.webhooks,
        )

    @property
    def checks(self) -> Mapping[str, Check]:
        """A validator for each kind of stored document. A snapshot with an invalid document is refused."""
        return {kind: check for each in self.stateful for kind, check in each.checks.items()}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """Further validators of stored documents, which also need the key or the credential."""
        return {kind: check for each in self.stateful for kind, check in each.entry_checks.items()}

    async def storage_failure(self) -> str | None:
        """Return why the database or the blobs cannot be written, or None if they can."""
        try:
            await self.records.check()
            await self.blobs.check()
        except StoreUnavailable as error:
            return str(error)
        return None

    async def load(self) -> None:
        """Read the state from the database into memory, at startup and after a restore."""
        for each in self.stateful:
            await each.load()

    async def forget(self, credential: str | None) -> None:
        """Delete the state of ``credential``, or all state if it is None."""
        for each in self.stateful:
            await each.forget(credential)

    async def reset(self, credential: str | None) -> None:
        """Delete the documents, counters, blobs and state in memory of ``credential``, or all if it is None.

        Tasks in progress are cancelled and write nothing afterwards. The counters of ids restart, so the same
        calls get the same ids again.
        """
        async with self.creations.stopped(credential), self.tasks.paused(credential):
            await self.records.forget(credential)
            await self.blobs.forget(credential)
            await self.forget(credential)

    async def degraded(
        self, data: bytes, fault: PictureFault | None, *, heic_format: str | None = None
    ) -> bytes:
        """Return the encoded picture ``data`` with ``fault`` applied.

        The emulator cannot write HEIC. So if the operation accepts HEIC, ``heic_format`` is the format of the
        result, as Pillow names it. Without it, a HEIC picture is only truncated. A picture that no worker can
        read is only truncated, too.
        """
        if fault is None:
            return data
        try:
            return await self.queue.run(DEGRADE, data, fault, heic_format)
        except ImageUndecodable:
            return data[: round(len(data) * fault.truncate)]
