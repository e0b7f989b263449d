"""The routes of the control API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import FastAPI

from emulator.control.bodies import bodies_router
from emulator.control.clock import clock_router
from emulator.control.costs import costs_router
from emulator.control.credentials import credentials_router
from emulator.control.descriptions import describe_routes
from emulator.control.faces import faces_router
from emulator.control.faults import faults_router
from emulator.control.journal import journal_router
from emulator.control.ledger import ledger_router
from emulator.control.lifetimes import lifetimes_router
from emulator.control.metrics import metrics_router
from emulator.control.operations import operations_router
from emulator.control.scenario import scenario_router
from emulator.control.snapshot import snapshot_router
from emulator.control.status import Progress, Status, status_router
from emulator.control.tasks import tasks_router
from emulator.control.webhooks import webhooks_router
from emulator.control.world import world_router
from emulator.web.vendor import Vendor, VendorSettings
from emulator.world.world import World


def add_routes(
    app: FastAPI,
    world: World,
    vendors: Sequence[Vendor],
    settings: Mapping[str, VendorSettings],
    version: str,
    progress: Progress,
    status: Status,
) -> None:
    """Add all routes below ``/_emulator`` to ``app``, and describe those of `add_status_routes`."""
    for router in (
        status_router(status),
        world_router(world, progress),
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
        metrics_router(world),
        snapshot_router(world, version),
    ):
        describe_routes(router)
        app.include_router(router, prefix="/_emulator")
