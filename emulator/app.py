"""The composition root: the only place that picks adapters and mounts surfaces."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from fastapi import FastAPI
from pydantic import ValidationError

from emulator.arithmetic import arithmetic_variables
from emulator.backends.blobs.folder import FolderBlobs
from emulator.backends.fetch import HttpFetcher
from emulator.backends.queue.local import LocalWorkers
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.records import StoreUnreadable
from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.control.gate import ControlGate
from emulator.control.refusals import answer_refusals
from emulator.control.router import control_router
from emulator.control.scenario import find_scenario, load_scenario
from emulator.control.world import Progress
from emulator.ids import SeededIds
from emulator.pipelines.options import WARM_UP
from emulator.settings import Settings
from emulator.tasks.runner import TaskRunner
from emulator.variables import strange_variables
from emulator.version import VERSION
from emulator.web.application import vendor_application
from emulator.web.dispatch import Dispatch
from emulator.web.vendor import Vendor, VendorSettings, discover_vendors
from emulator.webhooks.outbox import Outbox
from emulator.webhooks.sender import HttpSender
from emulator.world.clocks import Clocks
from emulator.world.credentials import Credentials
from emulator.world.faults.engine import Faults, is_reserved
from emulator.world.journal.journal import Journal
from emulator.world.lifetimes import Lifetimes
from emulator.world.meter import Meter, check_prices
from emulator.world.plans import Plans
from emulator.world.world import World

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Adapters:
    """What was picked to stand behind the ports."""

    folder: Path
    is_temporary: bool
    records: SqliteRecords
    blobs: FolderBlobs
    queue: LocalWorkers
    fetcher: HttpFetcher


def create_app(
    settings: Settings | None = None, *, clock: Clock | None = None, workers: WorkerPool | None = None
) -> FastAPI:
    """Return the emulator as an ASGI application.

    Its lifespan opens the store and starts the workers, so a server has to run it; it raises
    StoreUnreadable if what the folder holds cannot be used. The vendors are
    at ``app.state.vendors``, what they stand on at ``app.state.world``.

    Parameters
    ----------
    settings : Settings, optional
        Those of the environment, if not given.
    clock : Clock, optional
        Replaces the clock of the settings.
    workers : WorkerPool, optional
        Computes the pictures, in place of a pool of the application's own, and outlives it: tests with
        an application each share one warm pool.

    Raises
    ------
    ValueError
        If a setting names a vendor that is not there, or a vendor's setting is wrong.
    ScenarioUnreadable, UnknownFault, LifetimeRefused
        If a scenario of the settings cannot be read, or names what is not there.
    """
    settings = settings or Settings()
    vendors = discover_vendors(settings.vendor_packages)
    for sentence in strange_variables(os.environ, vendors):
        logger.warning(sentence)
    vendor_settings = _vendor_settings(settings, vendors)
    adapters = _adapters(settings, workers)
    clock = clock or clock_of(settings)
    world = _world(settings, adapters, clock, vendors, vendor_settings)
    scenarios = [find_scenario(name, vendors) for name in settings.scenarios]
    for scenario in scenarios:
        for rule in scenario.rules:
            world.faults.check(rule)
        world.lifetimes.check(scenario.lifetimes)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            with _blaming(adapters.folder):
                await _open(adapters, stack)
                await world.load()
            for scenario in scenarios:
                await load_scenario(world, scenario)
            world.journal.start()
            stack.push_async_callback(world.journal.close)
            stack.push_async_callback(world.webhooks.close)
            stack.push_async_callback(world.plans.close)
            stack.push_async_callback(world.tasks.close)
            stack.push_async_callback(world.queue.close)
            with _blaming(adapters.folder):
                await world.tasks.start()
            yield

    app = FastAPI(
        title="face-api-emulator control API",
        version=VERSION,
        lifespan=lifespan,
        openapi_url="/_emulator/openapi.json",
        # The page that FastAPI makes of it loads its scripts from elsewhere, and nothing here does.
        docs_url=None,
        # Otherwise `DELETE /faults/` would redirect and remove all rules.
        redirect_slashes=False,
        redoc_url=None,
    )
    app.state.vendors = vendors
    app.state.world = world
    app.state.progress = Progress(hooks_run=settings.init_dir is None)
    runs = _what_runs(settings)
    app.include_router(control_router(world, vendors, vendor_settings, VERSION, app.state.progress, runs))

    answer_refusals(app, vendors)
    applications = {
        vendor.name: vendor_application(vendor, world, vendor_settings[vendor.name]) for vendor in vendors
    }
    gate = ControlGate(settings.control, settings.control_port)
    app.add_middleware(Dispatch, vendors=vendors, applications=applications, world=world, gate=gate)
    return app


def _adapters(settings: Settings, workers: WorkerPool | None) -> _Adapters:
    pool = workers or WorkerPool(settings.workers, WARM_UP, arithmetic_variables())
    folder = settings.data_dir or Path(tempfile.mkdtemp(prefix="face-emulator-"))
    adapters = _Adapters(
        folder=folder,
        is_temporary=settings.data_dir is None,
        records=SqliteRecords(folder / "records.sqlite3"),
        blobs=FolderBlobs(folder / "blobs"),
        queue=LocalWorkers(pool, owns_pool=workers is None),
        fetcher=HttpFetcher(),
    )
    if adapters.is_temporary:
        weakref.finalize(adapters, _remove, folder)
    return adapters


@contextlib.contextmanager
def _blaming(folder: Path) -> Iterator[None]:
    """Raise StoreUnreadable for what goes wrong over what a folder holds, or over the folder itself."""
    try:
        yield
    except ValidationError as error:
        wrong = (
            ".".join([error.title, *map(str, each["loc"])]) + ": " + each["msg"] for each in error.errors()
        )
        raise StoreUnreadable(str(folder), "; ".join(wrong)) from error
    except (OSError, sqlite3.Error, ValueError, TypeError, LookupError) as error:
        raise StoreUnreadable(str(folder), f"{type(error).__name__}: {error}") from error


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


async def _open(adapters: _Adapters, stack: contextlib.AsyncExitStack) -> None:
    """Open what has to be opened, and have ``stack`` close it."""
    if adapters.is_temporary:
        # Here, since a signal ends the process before anything is finalized.
        stack.push_async_callback(asyncio.to_thread, _remove, adapters.folder)
    await adapters.records.open()
    stack.push_async_callback(adapters.records.close)
    await adapters.blobs.open()
    stack.push_async_callback(adapters.fetcher.close)


def _world(
    settings: Settings,
    adapters: _Adapters,
    clock: Clock,
    vendors: Sequence[Vendor],
    vendor_settings: Mapping[str, VendorSettings],
) -> World:
    records = adapters.records
    ids = SeededIds(settings.seed, records.count_up)
    tasks = TaskRunner(records, adapters.queue, clock, settings.progression)
    webhooks = Outbox(records, clock, ids, HttpSender())
    return World(
        clock=clock,
        clocks=Clocks(clock, records),
        ids=ids,
        credentials=Credentials(
            records,
            settings.credentials,
            strict=settings.strict,
            is_reserved=lambda credential: settings.in_band_faults and is_reserved(credential),
        ),
        records=records,
        blobs=adapters.blobs,
        queue=adapters.queue,
        tasks=tasks,
        fetcher=adapters.fetcher,
        faults=Faults(
            records, clock, {vendor.name: vendor for vendor in vendors}, in_band=settings.in_band_faults
        ),
        journal=Journal(
            records,
            clock,
            calls=settings.journal_calls,
            size=settings.journal_bytes,
            survives=settings.data_dir is not None,
        ),
        meter=Meter(records, {name: given.prices for name, given in vendor_settings.items()}),
        lifetimes=Lifetimes(records, vendor_settings, {vendor.name: vendor.lifetimes for vendor in vendors}),
        webhooks=webhooks,
        plans=Plans(tasks, webhooks),
    )


def _what_runs(settings: Settings) -> dict[str, str]:
    """Return what stands behind each port, for who asks after the emulator's health."""
    folder = "a temporary folder" if settings.data_dir is None else str(settings.data_dir)
    return {
        "records": f"SQLite in {folder}",
        "blobs": f"files in {folder}",
        "queue": f"local worker processes: {settings.workers}",
    }


def clock_of(settings: Settings) -> Clock:
    """Return the clock that the settings ask for."""
    if settings.clock == "system":
        return Clock()
    moment = settings.clock
    # A moment without a zone is not this machine's: the same settings give the same answers everywhere.
    return Clock((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _vendor_settings(settings: Settings, vendors: Sequence[Vendor]) -> dict[str, VendorSettings]:
    unknown = settings.vendors.keys() - {vendor.name for vendor in vendors}
    if unknown:
        known = ", ".join(vendor.name for vendor in vendors)
        raise ValueError(f"there are settings for {', '.join(sorted(unknown))}; the vendors are {known}")
    found = {}
    for vendor in vendors:
        found[vendor.name] = vendor.settings_model.model_validate(settings.vendors.get(vendor.name, {}))
        check_prices(found[vendor.name].prices, tuple(vendor.operations))
        for name, wording in found[vendor.name].errors.items():
            if name not in vendor.errors:
                raise ValueError(f"{vendor.name} has no error named {name}")
            vendor.errors[name].check(wording)
    return found
