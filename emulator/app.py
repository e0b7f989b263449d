"""``create_app``, which builds the ASGI application from the vendors and the control API."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from fastapi import FastAPI

from emulator.backends.queue.pool import WorkerPool
from emulator.clock import Clock
from emulator.control.gate import OPEN, ControlGate
from emulator.control.guard import JsonGuard
from emulator.control.head import HeadAsGet
from emulator.control.refusals import ControlApplication, answer_refusals
from emulator.control.status import Progress, Status, add_status_routes
from emulator.emulation import create_emulation
from emulator.settings import Settings
from emulator.version import VERSION
from emulator.web.dispatch import Dispatch
from emulator.web.exchange import BodyMemory
from emulator.web.forward import forward
from emulator.web.vendor import Vendor
from emulator.world.world import World

if TYPE_CHECKING:
    from emulator.control.scenario_files import Scenario


def create_app(
    settings: Settings | None = None, *, clock: Clock | None = None, workers: WorkerPool | None = None
) -> FastAPI:
    """Return the emulator as an ASGI application.

    The server must run the application's ASGI lifespan. The lifespan opens the database and starts the
    workers. It raises StoreUnreadable if the content of the data folder cannot be used, and StoreUnavailable
    if another store cannot be used. ``app.state.vendors`` has the vendors, and ``app.state.world`` has the
    state that the vendors share.

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
        If a setting names an unknown vendor, or a vendor's setting or the URL of a store is invalid.
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
        # Otherwise, `DELETE /faults/` would be redirected, and delete all rules.
        redirect_slashes=False,
        redoc_url=None,
    )
    app.state.vendors = vendors
    app.state.world = world
    app.state.progress = Progress(hooks_run=settings.init_dir is None)
    status = Status(world, vendors, VERSION, app.state.progress, emulation.runs)
    add_status_routes(app, status)

    gate = app.state.gate = ControlGate(
        settings.control, settings.control_port, settings.control_hosts, token=settings.control_token
    )

    def add_routes() -> None:
        from emulator.control.console.pages import add_console  # noqa: PLC0415 - on demand, see RoutesOnDemand
        from emulator.control.router import add_routes  # noqa: PLC0415 - see above

        add_routes(app, world, vendors, vendor_settings, VERSION, app.state.progress, status)
        add_console(app, gate, vendors)

    app.add_routes_later(add_routes, without=OPEN)
    # The metrics are served even if the database cannot be used. One of them reports this.
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
