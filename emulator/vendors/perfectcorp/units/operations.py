"""The operations that list the units, the charges and the prices of a key."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from emulator.vendors.perfectcorp.body import read_page
from emulator.vendors.perfectcorp.caller import CallerDep, LegacyCallerDep
from emulator.vendors.perfectcorp.errors import V1, V2
from emulator.vendors.perfectcorp.settings import SettingsDep
from emulator.vendors.perfectcorp.units.ledger import Units
from emulator.vendors.perfectcorp.units.wire import (
    CostPage,
    Grants,
    History,
    HistoryPage,
    Sku,
    Skus,
    render_costs,
    render_grants,
    render_history,
)
from emulator.vendors.perfectcorp.wire import Result
from emulator.web.vendor import Api
from emulator.world.operation import Example, Operation


async def _units_of(request: Request) -> Units:
    units: Units = request.app.state.units()
    return units


UnitsDep = Annotated[Units, Depends(_units_of)]


async def credit(credential: LegacyCallerDep, units: UnitsDep) -> Response:
    """List the units (prepaid credits) of a key."""
    return render_grants(await units.grants(credential))


async def credit_history(request: Request, credential: LegacyCallerDep, units: UnitsDep) -> Response:
    """List the charges of a key, newest first."""
    page = read_page(request, HistoryPage)
    return render_history(*page.cut(await units.history(credential)))


async def feature_cost(request: Request, _credential: CallerDep, settings: SettingsDep) -> Response:
    """List the prices of features, in units."""
    page = read_page(request, CostPage)
    sku = Sku(
        description="AI Face Reshape V1.0",
        amount=settings.reshape_units,
        unit="result_image",
        proc_unit=1,
        run_task_url=f"{request.base_url}s2s/v2.0/task/face-reshape",
    )
    return render_costs(*page.cut([sku]))


_BEARER = Example(headers={"Authorization": "Bearer {key}"})

CREDIT = Operation(
    name="credit",
    methods=("GET",),
    paths=("/s2s/v1.0/client/credit",),
    endpoint=credit,
    errors=V1,
    response=Grants,
    example=_BEARER,
)

CREDIT_HISTORY = Operation(
    name="credit_history",
    methods=("GET",),
    paths=("/s2s/v1.0/client/credit/history",),
    endpoint=credit_history,
    errors=V1,
    query=HistoryPage,
    response=Result[History],
    example=_BEARER,
)

FEATURE_COST = Operation(
    name="feature_cost",
    methods=("GET",),
    paths=("/s2s/v2.0/credit/feature-cost",),
    endpoint=feature_cost,
    errors=V2,
    query=CostPage,
    response=Result[Skus],
    example=_BEARER,
)

api = Api("Units", (CREDIT, CREDIT_HISTORY, FEATURE_COST))
