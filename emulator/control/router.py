"""The routes of the control API."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts

from emulator.control.bodies import bodies_router
from emulator.control.clock import clock_router
from emulator.control.costs import costs_router
from emulator.control.credentials import credentials_router
from emulator.control.faces import faces_router
from emulator.control.faults import faults_router
from emulator.control.journal import journal_router
from emulator.control.ledger import ledger_router
from emulator.control.lifetimes import lifetimes_router
from emulator.control.operations import operations_router
from emulator.control.scenario import scenario_router
from emulator.control.snapshot import snapshot_router
from emulator.control.tasks import tasks_router
from emulator.control.webhooks import webhooks_router
from emulator.control.world import Progress, world_router
from emulator.web.vendor import Vendor, VendorSettings
from emulator.world.world import World


def control_router(
    world: World,
    vendors: Sequence[Vendor],
    settings: Mapping[str, VendorSettings],
    version: str,
    progress: Progress,
    runs: dict[str, str],
) -> APIRouter:
    """Return all routes below ``/_emulator``. ``runs`` describes the database, the blobs and the queue."""
    router = APIRouter(prefix="/_emulator")
    routers = [
        credentials_router(world),
        operations_router(world, vendors, settings),
        ledger_router(vendors),
        clock_router(world.clock, world.clocks),
        faults_router(world),
        faces_router(world),
        scenario_router(world, vendors),
        tasks_router(world, vendors),
        lifetimes_router(world),
        webhooks_router(world),
        bodies_router(world),
        journal_router(world, version),
        costs_router(world),
        snapshot_router(world, version),
    ]
    for each in (world_router(world, vendors, version, progress, runs, routers), *routers):
        _describe_routes(each)
        router.include_router(each)
    return router


def _describe_routes(router: APIRouter) -> None:
    """Set each route's summary to the first line of its docstring, and its description to the rest."""
    for context in iter_route_contexts(router.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            first, _, rest = (inspect.getdoc(route.endpoint) or "").partition("\n")
            route.summary = first.removesuffix(".")
            # FastAPI would replace an empty description with the docstring. So use a blank, which FastAPI
            # removes later.
            route.description = rest.strip() or " "
