"""The composition root: the only place that picks adapters and mounts surfaces."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator, Sequence
from datetime import UTC
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import emulator.vendors
from emulator import __version__
from emulator.backends.blobs.folder import FolderBlobs
from emulator.backends.queue.local import LocalWorkers
from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.control.clock import ClockKeeper
from emulator.control.gate import ControlGate
from emulator.control.routes import Progress, answer_unknown_path, control_router
from emulator.control.scenario import find_scenario, load_scenario
from emulator.ids import SeededIds
from emulator.pipelines.warm_up import warm_up
from emulator.settings import Settings
from emulator.tasks.runner import TaskRunner
from emulator.web.call import Calls
from emulator.web.credentials import Credentials
from emulator.web.faults import Faults, UnknownFault, is_reserved
from emulator.web.fetch import HttpFetcher
from emulator.web.limits import DrainedBodies
from emulator.web.services import Services
from emulator.web.vendor import Vendor, VendorDispatch, VendorSettings, discover_vendors


def create_app(settings: Settings | None = None, *, clock: Clock | None = None) -> FastAPI:
    """Return the emulator as an ASGI application.

    ``clock`` stands in for the clock of the settings.

    Its lifespan opens the store and starts the workers, so a server has to run it. The vendors are
    at ``app.state.vendors``, what they stand on at ``app.state.services``.

    Raises
    ------
    ValueError
        If a setting names a vendor that is not there, or a vendor's setting is wrong.
    ScenarioUnreadable, UnknownFault
        If a scenario of the settings cannot be read, or names what is not there.
    """
    settings = settings or Settings()
    vendors = discover_vendors(emulator.vendors)
    vendor_settings = _vendor_settings(settings, vendors)

    folder = settings.data_dir or Path(tempfile.mkdtemp(prefix="face-emulator-"))
    records = SqliteRecords(folder / "records.sqlite3")
    blobs = FolderBlobs(folder / "blobs")
    queue = LocalWorkers(settings.workers, warm_up)
    fetcher = HttpFetcher()
    clock = clock or clock_of(settings)
    targets = {vendor.name: vendor.target for vendor in vendors}
    faults = Faults(records, clock, targets, in_band=settings.in_band_faults)
    services = Services(
        clock=clock,
        ids=SeededIds(settings.seed, records.count_up),
        credentials=Credentials(
            records,
            settings.credentials,
            strict=settings.strict,
            is_reserved=lambda credential: settings.in_band_faults and is_reserved(credential),
        ),
        records=records,
        blobs=blobs,
        queue=queue,
        tasks=TaskRunner(records, queue, clock, settings.progression),
        fetcher=fetcher,
        faults=faults,
    )

    keeper = ClockKeeper(clock, records)
    services.loaders.extend((keeper.load, faults.load, services.tasks.progressions.load))
    scenarios = [find_scenario(name) for name in settings.scenarios]
    for scenario in scenarios:
        for rule in scenario.rules:
            faults.check(rule)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await records.open()
            stack.push_async_callback(records.close)
            await blobs.open()
            stack.push_async_callback(fetcher.close)
            for load in services.loaders:
                await load()
            for scenario in scenarios:
                await load_scenario(services, scenario)
            await services.tasks.start()
            stack.push_async_callback(services.tasks.close)
            stack.push_async_callback(queue.close)
            yield

    app = FastAPI(
        title="face-api-emulator control API",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/_emulator/openapi.json",
        # The page that FastAPI makes of it loads its scripts from elsewhere, and nothing here does.
        docs_url=None,
        redoc_url=None,
    )
    app.state.vendors = vendors
    app.state.services = services
    app.state.progress = Progress(hooks_run=settings.init_dir is None)
    runs = {
        "records": f"SQLite in {'a temporary folder' if settings.data_dir is None else settings.data_dir}",
        "blobs": f"files in {'a temporary folder' if settings.data_dir is None else settings.data_dir}",
        "queue": f"{settings.workers} local worker processes",
    }
    app.include_router(control_router(services, vendors, __version__, keeper, app.state.progress, runs))

    _answer_refusals(app, vendors)
    applications = {
        vendor.name: Calls(
            vendor.build(services, vendor_settings[vendor.name]), vendor.name, vendor.target, faults
        )
        for vendor in vendors
    }
    app.add_middleware(VendorDispatch, vendors=vendors, applications=applications)
    app.add_middleware(ControlGate, mode=settings.control, port=settings.control_port)
    app.add_middleware(DrainedBodies)
    if settings.data_dir is None:
        weakref.finalize(app, shutil.rmtree, folder, ignore_errors=True)
    return app


def _answer_refusals(app: FastAPI, vendors: Sequence[Vendor]) -> None:
    """Have the control API say why it refuses a call."""

    @app.exception_handler(UnknownFault)
    async def unknown_fault(_request: Request, error: UnknownFault) -> JSONResponse:
        return _refused(str(error))

    @app.exception_handler(HTTPException)
    async def unknown_path(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404 and error.detail == "Not Found":
            return answer_unknown_path(request, vendors)
        if error.status_code == 422:
            return _refused(error.detail)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _refused(reason: str) -> JSONResponse:
    """Return a refusal in the one form that FastAPI documents for it."""
    return JSONResponse({"detail": [{"loc": ["body"], "msg": reason, "type": "value_error"}]}, 422)


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
        for name, wording in found[vendor.name].errors.items():
            if name not in vendor.errors:
                raise ValueError(f"{vendor.name} has no error named {name}")
            vendor.errors[name].check(wording)
    return found
