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
from emulator.control.routes import answer_unknown_path, control_router
from emulator.ids import SeededIds
from emulator.pipelines.warm_up import warm_up
from emulator.settings import Settings
from emulator.tasks.runner import TaskRunner
from emulator.web.call import Calls
from emulator.web.credentials import Credentials
from emulator.web.faults import Faults, is_reserved
from emulator.web.fetch import HttpFetcher
from emulator.web.journal import Journal
from emulator.web.limits import DrainedBodies
from emulator.web.meter import Meter, check_prices
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
    """
    settings = settings or Settings()
    vendors = discover_vendors(emulator.vendors)
    vendor_settings = _vendor_settings(settings, vendors)

    folder = settings.data_dir or Path(tempfile.mkdtemp(prefix="face-emulator-"))
    records = SqliteRecords(folder / "records.sqlite3")
    queue = LocalWorkers(settings.workers, warm_up)
    fetcher = HttpFetcher()
    clock = clock or clock_of(settings)
    targets = {vendor.name: vendor.target for vendor in vendors}
    faults = Faults(records, clock, targets, in_band=settings.in_band_faults)
    journal = Journal(
        records,
        clock,
        calls=settings.journal_calls,
        size=settings.journal_bytes,
        secrets={vendor.name: vendor.secrets for vendor in vendors},
        survives=settings.data_dir is not None,
    )
    meter = Meter(records, {name: given.prices for name, given in vendor_settings.items()})
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
        blobs=FolderBlobs(folder / "blobs"),
        queue=queue,
        tasks=TaskRunner(records, queue, clock, settings.progression),
        fetcher=fetcher,
        faults=faults,
        journal=journal,
        meter=meter,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await records.open()
            stack.push_async_callback(records.close)
            stack.push_async_callback(fetcher.close)
            await faults.load()
            await journal.load()
            await meter.load()
            journal.start()
            stack.push_async_callback(journal.close)
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
    app.include_router(control_router(services, vendors, __version__))

    @app.exception_handler(HTTPException)
    async def unknown_path(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404 and error.detail == "Not Found":
            return answer_unknown_path(request, vendors)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    applications = {
        vendor.name: Calls(
            vendor.build(services, vendor_settings[vendor.name]),
            vendor.name,
            vendor.target,
            faults,
            journal,
        )
        for vendor in vendors
    }
    app.add_middleware(VendorDispatch, vendors=vendors, applications=applications)
    app.add_middleware(DrainedBodies)
    if settings.data_dir is None:
        weakref.finalize(app, shutil.rmtree, folder, ignore_errors=True)
    return app


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
        check_prices(found[vendor.name].prices, vendor.operations)
        for name, wording in found[vendor.name].errors.items():
            if name not in vendor.errors:
                raise ValueError(f"{vendor.name} has no error named {name}")
            vendor.errors[name].check(wording)
    return found
