"""``create_app``, which builds the ASGI application from the storage, workers, vendors and control API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import sqlite3
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastapi import FastAPI
from pydantic import ValidationError

from emulator.arithmetic import arithmetic_variables
from emulator.backends.blobs.folder import FolderBlobs
from emulator.backends.blobs.object_store import StoreAddress
from emulator.backends.blobs.objects import ObjectBlobs
from emulator.backends.drivers import DriverMissing
from emulator.backends.fetch import HttpFetcher
from emulator.backends.folder_lock import sole_user
from emulator.backends.leftovers import make_temporary_folder, remove_leftovers_later
from emulator.backends.outgoing import AddressPolicy
from emulator.backends.queue.local import LocalWorkers
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.records import Records, StoreUnreadable
from emulator.backends.records.cached import CachedRecords
from emulator.backends.records.sqlite import SqliteRecords
from emulator.backends.replicas import OnlyReplica, RegisteredReplicas, Replica
from emulator.backends.unavailable import DATA_FOLDER, StoreUnavailable
from emulator.clock import Clock
from emulator.control.gate import OPEN, ControlGate
from emulator.control.guard import JsonGuard
from emulator.control.head import HeadAsGet
from emulator.control.refusals import ControlApplication, answer_refusals
from emulator.control.status import Progress, status_router
from emulator.ids import SeededIds
from emulator.pipelines.options import WARM_UP
from emulator.settings import Settings
from emulator.tasks.runner import TaskRunner
from emulator.variables import unknown_variables
from emulator.version import VERSION
from emulator.web.application import vendor_application
from emulator.web.dispatch import Dispatch
from emulator.web.exchange import BodyMemory
from emulator.web.forward import forward
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
from emulator.world.world import World

if TYPE_CHECKING:
    from emulator.backends.queue.postgres import PostgresQueue
    from emulator.backends.records.postgres import PostgresRecords
    from emulator.control.scenario_files import Scenario

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Adapters:
    """The implementations of the database, the blob storage, the queue and the downloads."""

    folder: Path
    is_temporary: bool
    records: SqliteRecords | PostgresRecords
    blobs: FolderBlobs | ObjectBlobs
    queue: LocalWorkers | PostgresQueue
    fetcher: HttpFetcher


@dataclass(frozen=True)
class Emulation:
    """The world, and the vendors that use it, without the control API. A worker needs no more.

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
    _adapters: _Adapters

    @property
    def runs(self) -> dict[str, str]:
        """Descriptions of the database, the blob storage and the queue, for the health check."""
        return _adapter_descriptions(self._settings, self._adapters)

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
            with _store_errors(self._adapters.records):
                await _open(self._adapters, stack)
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
            with _store_errors(self._adapters.records):
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

    ``role`` is what other processes that use the same database see of this one. The other parameters, and
    the errors, are those of `create_app`.
    """
    vendors = discover_vendors(settings.vendor_packages)
    for sentence in unknown_variables(os.environ, vendors):
        logger.warning(sentence)
    vendor_settings = _vendor_settings(settings, vendors)
    adapters = _adapters(settings, workers, role)
    world = _world(settings, adapters, clock or clock_of(settings), vendors, vendor_settings)
    applications = {
        vendor.name: vendor_application(vendor, world, vendor_settings[vendor.name], settings.origins)
        for vendor in vendors
    }
    return Emulation(vendors, vendor_settings, world, applications, settings, adapters)


def create_app(
    settings: Settings | None = None, *, clock: Clock | None = None, workers: WorkerPool | None = None
) -> FastAPI:
    """Return the emulator as an ASGI application.

    The server must run the application's ASGI lifespan. The lifespan opens the database and starts the
    workers. It raises StoreUnreadable if the content of the data folder cannot be used, and StoreUnavailable
    if another store cannot be used.
    ``app.state.vendors`` has the vendors, and ``app.state.world`` has the state that the vendors share.

    Parameters
    ----------
    settings : Settings, optional
        Settings to use instead of the settings in the environment.
    clock : Clock, optional
        Clock to use instead of the one that the settings define.
    workers : WorkerPool, optional
        Worker pool to use instead of a new one. The application does not close this pool, so several
        applications in a test run can share it.

    Raises
    ------
    ValueError
        If a setting names an unknown vendor, or a vendor's setting is invalid, or the URL of a store.
    DriverMissing
        If a setting needs a package that is not installed.
    ScenarioUnreadable
        If a scenario in the settings does not exist, or its file is invalid.
    UnknownFault
        If a fault rule in such a scenario names an unknown vendor, operation, error or effect, or can never
        fire.
    LifetimeRefused
        If such a scenario sets a lifetime that does not exist, or sets a lifetime to an invalid value.
    """
    settings = settings or Settings()
    emulation = create_emulation(settings, clock=clock, workers=workers)
    vendors, vendor_settings, world = emulation.vendors, emulation.vendor_settings, emulation.world
    applications = emulation.applications
    scenarios = _scenarios(settings, vendors, world)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with emulation.running(scenarios):
            yield

    app = ControlApplication(
        title="face-api-emulator control API",
        version=VERSION,
        lifespan=lifespan,
        openapi_url="/_emulator/openapi.json",
        # FastAPI's documentation page loads scripts from the internet.
        docs_url=None,
        # Otherwise `DELETE /faults/` would redirect and clear all rules.
        redirect_slashes=False,
        redoc_url=None,
    )
    app.state.vendors = vendors
    app.state.world = world
    app.state.progress = Progress(hooks_run=settings.init_dir is None)
    app.include_router(status_router(world, vendors, VERSION, app.state.progress, emulation.runs))

    gate = app.state.gate = ControlGate(
        settings.control, settings.control_port, settings.control_hosts, token=settings.control_token
    )

    def add_routes() -> None:
        from emulator.control.console.pages import add_console  # noqa: PLC0415 - on demand, see RoutesOnDemand
        from emulator.control.router import add_routes  # noqa: PLC0415 - likewise

        add_routes(app, world, vendors, vendor_settings, VERSION, app.state.progress)
        add_console(app, gate, vendors)

    app.add_routes_later(add_routes, without=OPEN)
    # The metrics tell that the database is away, if it is.
    app.catch_up, app.always_open = world.records.catch_up, OPEN | {"/_emulator/metrics"}
    answer_refusals(app, vendors)
    app.state.routes_later = [app.routes_later, *(each.state.routes_later for each in applications.values())]
    app.add_middleware(JsonGuard)
    app.add_middleware(HeadAsGet)
    app.dispatch = Dispatch(
        app.answer,
        vendors=vendors,
        applications=applications,
        world=world,
        gate=gate,
        body_seconds=settings.body_seconds,
        memory=BodyMemory(settings.body_memory_bytes),
        forward=forward if settings.proxy_others else None,
    )
    return app


async def living_workers(settings: Settings) -> list[Replica]:
    """Return the workers of this machine that live and are connected to the database.

    Raises
    ------
    StoreUnavailable
        If the database cannot be used.
    """
    if settings.database_url is None:
        return []
    try:
        from emulator.backends.records.postgres import living_replicas  # noqa: PLC0415 - as in `_in_database`
    except ImportError as error:
        raise DriverMissing("FACE_EMULATOR_DATABASE_URL", "psycopg") from error
    found = await living_replicas(settings.database_url.get_secret_value())
    return [each for each in found if (each.role, each.host) == ("worker", socket.gethostname())]


def _scenarios(settings: Settings, vendors: Sequence[Vendor], world: World) -> list[Scenario]:
    """Read and check the scenarios that the settings name."""
    if not settings.scenarios:
        return []
    # Only scenarios need YAML.
    from emulator.control.scenario_files import find_scenario  # noqa: PLC0415 - on demand, see above

    scenarios = [find_scenario(name, vendors) for name in settings.scenarios]
    for scenario in scenarios:
        for rule in scenario.rules:
            world.faults.check(rule)
        world.lifetimes.check(scenario.lifetimes)
    return scenarios


async def _load(scenarios: Sequence[Scenario], world: World) -> None:
    if scenarios and await world.is_first("scenarios"):
        from emulator.control.scenario import load_scenario  # noqa: PLC0415 - on demand, as in `_scenarios`

        for scenario in scenarios:
            await load_scenario(world, scenario)


def _adapters(settings: Settings, workers: WorkerPool | None, role: Literal["server", "worker"]) -> _Adapters:
    pool = workers or WorkerPool(settings.workers, WARM_UP, arithmetic_variables(), settings.work_seconds)
    folder = settings.data_dir or make_temporary_folder()
    queue: LocalWorkers | PostgresQueue
    records: SqliteRecords | PostgresRecords
    if settings.database_url is None:
        queue = LocalWorkers(pool, owns_pool=workers is None)
        records = SqliteRecords(folder / "records.sqlite3")
    else:
        url = settings.database_url.get_secret_value()
        queue, records = _in_database(settings, url, pool, role, owns_pool=workers is None)
    adapters = _Adapters(
        folder=folder,
        is_temporary=settings.data_dir is None,
        records=records,
        blobs=_blobs(settings, folder),
        queue=queue,
        fetcher=HttpFetcher(AddressPolicy(settings.outgoing_hosts), settings.downloads),
    )
    if adapters.is_temporary:
        weakref.finalize(adapters, _remove, folder)
    return adapters


def _in_database(
    settings: Settings, url: str, pool: WorkerPool, role: Literal["server", "worker"], *, owns_pool: bool
) -> tuple[PostgresQueue, PostgresRecords]:
    """Return the queue and the records in a database that several processes share."""
    if settings.blobs_url is None:
        raise ValueError(
            "FACE_EMULATOR_DATABASE_URL needs FACE_EMULATOR_BLOBS_URL: other emulators that use the database "
            "would not find blobs in the data folder of this one"
        )
    # Only with this setting, because their import takes a quarter of a second.
    try:
        from emulator.backends.records.postgres import PostgresRecords  # noqa: PLC0415 - see above
    except ImportError as error:
        raise DriverMissing("FACE_EMULATOR_DATABASE_URL", "psycopg") from error
    try:
        from emulator.backends.queue.postgres import PostgresQueue  # noqa: PLC0415 - see above
    except ImportError as error:
        raise DriverMissing("FACE_EMULATOR_DATABASE_URL", "procrastinate") from error
    queue = PostgresQueue(url, pool, owns_pool=owns_pool)
    return queue, PostgresRecords(url, enqueue=queue.add, role=role, workers=settings.workers)


def _blobs(settings: Settings, folder: Path) -> FolderBlobs | ObjectBlobs:
    if settings.blobs_url is None:
        return FolderBlobs(folder / "blobs")
    address = StoreAddress.parse(settings.blobs_url)
    if settings.data_dir is None and settings.database_url is None:
        # The blobs are deleted with the temporary folder of their records, so they have their own folder.
        address = address.below(folder.name)
    return ObjectBlobs(address)


@contextlib.contextmanager
def _store_errors(records: SqliteRecords | PostgresRecords) -> Iterator[None]:
    """Convert exceptions about a data folder or database and its content to StoreUnreadable."""
    remedy = ("use another database",) if records.is_shared else ()
    try:
        yield
    except StoreUnavailable as error:
        if error.store != DATA_FOLDER:
            raise
        raise StoreUnreadable(records.place, error.reason) from error
    except ValidationError as error:
        wrong = (
            ".".join([error.title, *map(str, each["loc"])]) + ": " + each["msg"] for each in error.errors()
        )
        raise StoreUnreadable(records.place, "; ".join(wrong), *remedy) from error
    except (OSError, sqlite3.Error, ValueError, TypeError, LookupError) as error:
        raise StoreUnreadable(records.place, f"{type(error).__name__}: {error}", *remedy) from error


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


async def _open(adapters: _Adapters, stack: contextlib.AsyncExitStack) -> None:
    """Lock the data folder, and open the database and the blob storage.

    Closing ``stack`` closes the database and the fetcher, unlocks the folder, and deletes a temporary one.
    """
    if adapters.is_temporary:
        # The finalizer alone is not enough: a signal can end the process before the finalizer runs.
        stack.push_async_callback(asyncio.to_thread, _remove, adapters.folder)
    remove_leftovers_later()
    if adapters.is_temporary or not adapters.records.is_shared:
        stack.enter_context(sole_user(adapters.folder))
    await adapters.records.open()
    stack.push_async_callback(adapters.records.close)
    if not isinstance(adapters.queue, LocalWorkers):
        await adapters.queue.open()
    await adapters.blobs.open()
    if adapters.is_temporary and not adapters.records.is_shared and isinstance(adapters.blobs, ObjectBlobs):
        stack.push_async_callback(_forget_blobs, adapters.blobs)
    stack.push_async_callback(adapters.fetcher.close)


async def _forget_blobs(blobs: ObjectBlobs) -> None:
    try:
        await blobs.forget(None)
    except StoreUnavailable as error:
        logger.warning("the blobs of this run remain, because %s", error)


def _world(
    settings: Settings,
    adapters: _Adapters,
    clock: Clock,
    vendors: Sequence[Vendor],
    vendor_settings: Mapping[str, VendorSettings],
) -> World:
    records = CachedRecords(adapters.records)
    bodies = Bodies()
    ids = SeededIds(settings.seed, records.count_up)
    tasks = TaskRunner(records, adapters.queue, clock, settings.progression)
    found = adapters.records
    replicas = OnlyReplica() if isinstance(found, SqliteRecords) else RegisteredReplicas(found)
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
        bodies=bodies,
    )


def _journal(settings: Settings, records: Records, clock: Clock, bodies: Bodies) -> Journal:
    calls, size = settings.journal_calls, settings.journal_bytes
    if records.is_shared:
        # The calls of other servers can get the numbers of calls that they have deleted.
        return SharedJournal(records, clock, calls=calls, size=size, forgotten=bodies.clear)
    return Journal(records, clock, calls=calls, size=size, survives=settings.data_dir is not None)


def _adapter_descriptions(settings: Settings, adapters: _Adapters) -> dict[str, str]:
    """Return descriptions of the database, the blob storage and the queue, for the health check."""
    folder = "a temporary folder" if settings.data_dir is None else str(settings.data_dir)
    shared = "Procrastinate in the same database, and " if adapters.queue.is_in_database else ""
    files = f"files in {folder}" if settings.blobs_url is None else f"objects in {settings.blobs_url}"
    return {
        "records": adapters.records.place if adapters.records.is_shared else f"SQLite in {folder}",
        "blobs": files,
        "queue": f"{shared}local worker processes: {settings.workers}",
    }


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
