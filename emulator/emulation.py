"""``Emulation``: the world and the vendors, which a server and a worker share."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Literal

from fastapi import FastAPI

from emulator.adapters import Adapters, adapters_of, describe_adapters, open_adapters, store_errors
from emulator.backends.outgoing import AddressPolicy
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.records import Records
from emulator.backends.records.cached import CachedRecords
from emulator.clock import Clock
from emulator.ids import SeededIds
from emulator.settings import Settings
from emulator.tasks.runner import TaskRunner
from emulator.variables import unknown_variables
from emulator.web.application import vendor_application
from emulator.web.vendor import Vendor, VendorSettings, discover_vendors
from emulator.webhooks.outbox import Outbox
from emulator.webhooks.sender import HttpSender
from emulator.world.clocks import Clocks
from emulator.world.credentials import Credentials
from emulator.world.faults.engine import Faults, is_reserved
from emulator.world.journal.bodies import Bodies
from emulator.world.journal.journal import Journal
from emulator.world.journal.shared import SharedJournal
from emulator.world.lifetimes import Lifetimes
from emulator.world.meter import Meter, check_prices
from emulator.world.plans.plans import Plans
from emulator.world.rate_limit import RateLimits
from emulator.world.request_ids import RequestIds
from emulator.world.retention import Retention
from emulator.world.starts import Starts
from emulator.world.world import World

if TYPE_CHECKING:
    from emulator.control.scenario_files import Scenario

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Emulation:
    """The world, and the vendors that use it, without the control API, which a worker does not need.

    Attributes
    ----------
    vendors, vendor_settings
        The vendors, and their settings by vendor.
    world : World
        The state that the vendors share.
    applications : mapping of str to FastAPI
        The vendors' applications, by vendor. Their routes are added on demand.
    """

    vendors: tuple[Vendor, ...]
    vendor_settings: Mapping[str, VendorSettings]
    world: World
    applications: Mapping[str, FastAPI]
    _settings: Settings
    _adapters: Adapters

    @property
    def runs(self) -> dict[str, str]:
        """Descriptions of the database, the blob storage and the queue, for the health check."""
        return describe_adapters(self._settings, self._adapters)

    @contextlib.asynccontextmanager
    async def running(self, scenarios: Sequence[Scenario] = ()) -> AsyncIterator[None]:
        """Open the database, load ``scenarios``, start the workers, and perform tasks.

        Raises
        ------
        StoreUnreadable
            If the content of the data folder cannot be used.
        """
        world = self.world
        async with contextlib.AsyncExitStack() as stack:
            with store_errors(self._adapters.records):
                await open_adapters(self._adapters, stack)
                await world.load()
            await _load(scenarios, world)
            world.journal.start()
            retention = Retention(world, self._settings.retention_days)
            retention.start()
            stack.push_async_callback(retention.close)
            stack.push_async_callback(world.journal.close)
            stack.push_async_callback(world.webhooks.close)
            stack.push_async_callback(world.plans.close)
            stack.push_async_callback(world.tasks.close)
            stack.push_async_callback(world.queue.close)
            with store_errors(self._adapters.records):
                await world.tasks.start()
            yield


def create_emulation(
    settings: Settings,
    *,
    clock: Clock | None = None,
    workers: WorkerPool | None = None,
    role: Literal["server", "worker"] = "server",
) -> Emulation:
    """Return the world and the vendors.

    ``role`` is the role that other processes with the same database see for this one. The other parameters,
    and the errors, are those of `create_app`.
    """
    vendors = discover_vendors(settings.vendor_packages)
    for sentence in unknown_variables(os.environ, vendors):
        logger.warning(sentence)
    vendor_settings = _vendor_settings(settings, vendors)
    adapters = adapters_of(settings, workers, role)
    world = _world(settings, adapters, clock or clock_of(settings), vendors, vendor_settings)
    applications = {
        vendor.name: vendor_application(vendor, world, vendor_settings[vendor.name], settings.origins)
        for vendor in vendors
    }
    return Emulation(vendors, vendor_settings, world, applications, settings, adapters)


async def _load(scenarios: Sequence[Scenario], world: World) -> None:
    if not scenarios:
        return
    from emulator.control.scenario import load_scenario  # noqa: PLC0415 - on demand, as in `_scenarios`

    async with world.starts.once("scenarios") as is_mine:
        for scenario in scenarios if is_mine else ():
            await load_scenario(world, scenario)


def _world(
    settings: Settings,
    adapters: Adapters,
    clock: Clock,
    vendors: Sequence[Vendor],
    vendor_settings: Mapping[str, VendorSettings],
) -> World:
    records = CachedRecords(adapters.records)
    bodies = Bodies()
    ids = SeededIds(settings.seed, records.count_up)
    tasks = TaskRunner(records, adapters.queue, clock, settings.progression)
    replicas = adapters.replicas
    sender = HttpSender(AddressPolicy(settings.outgoing_hosts), settings.downloads // 2 or 1)
    webhooks = Outbox(records, clock, ids, sender, replicas)
    return World(
        clock=clock,
        clocks=Clocks(clock, records),
        ids=ids,
        request_ids=RequestIds(ids, records),
        credentials=Credentials(
            records,
            settings.credentials,
            strict=settings.strict,
            is_reserved=lambda credential: settings.in_band_faults and is_reserved(credential),
        ),
        records=records,
        replicas=replicas,
        blobs=adapters.blobs,
        queue=adapters.queue,
        tasks=tasks,
        fetcher=adapters.fetcher,
        faults=Faults(
            records, clock, {vendor.name: vendor for vendor in vendors}, in_band=settings.in_band_faults
        ),
        journal=_journal(settings, records, clock, bodies),
        meter=Meter(records, {name: given.prices for name, given in vendor_settings.items()}),
        lifetimes=Lifetimes(records, vendor_settings, {vendor.name: vendor.lifetimes for vendor in vendors}),
        webhooks=webhooks,
        plans=Plans(records, tasks, webhooks, replicas),
        rate_limits=RateLimits(records, clock),
        starts=Starts(records, replicas),
        bodies=bodies,
    )


def _journal(settings: Settings, records: Records, clock: Clock, bodies: Bodies) -> Journal:
    calls, size = settings.journal_calls, settings.journal_bytes
    if records.is_shared:
        # If another server restores a snapshot, other calls can get the numbers of calls with kept bodies.
        return SharedJournal(records, clock, calls=calls, size=size, forgotten=bodies.clear)
    return Journal(records, clock, calls=calls, size=size, survives=settings.data_dir is not None)


def clock_of(settings: Settings) -> Clock:
    """Return the clock that the settings define."""
    if settings.clock == "system":
        return Clock()
    moment = settings.clock
    # A time without a zone is UTC, not local time, so that it means the same on all machines.
    return Clock((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _vendor_settings(settings: Settings, vendors: Sequence[Vendor]) -> dict[str, VendorSettings]:
    unknown = settings.vendors.keys() - {vendor.name for vendor in vendors}
    if unknown:
        known = ", ".join(vendor.name for vendor in vendors)
        raise ValueError(
            f"settings for unknown vendors: {', '.join(sorted(unknown))}; the vendors are {known}"
        )
    found = {}
    for vendor in vendors:
        found[vendor.name] = vendor.settings_model.model_validate(settings.vendors.get(vendor.name, {}))
        if found[vendor.name].prices:
            check_prices(found[vendor.name].prices, tuple(vendor.operations))
        for name, wording in found[vendor.name].errors.items():
            if name not in vendor.errors:
                raise ValueError(f"{vendor.name} has no error named {name}")
            vendor.errors[name].check(wording)
    return found
