"""Routes for the costs: what the calls would cost at the real vendors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from emulator.control.dependencies import FilterDep
from emulator.world.meter import plain, to_document, totals
from emulator.world.world import World

SinceStart = Annotated[
    bool,
    Query(description="True to count all calls since the start of the server, and to ignore resets."),
]


class OperationCost(BaseModel):
    """Cost of one operation."""

    vendor: str = Field(description="Name of the vendor.")
    operation: str = Field(description="Name of the operation.")
    calls: int = Field(description="Number of billed calls.")
    units: int = Field(
        description="Number of units that these calls cost. A unit is a vendor's currency, such as a credit."
    )
    amounts: dict[str, str] = Field(
        description="Cost by currency, as decimal text; empty if the settings have no price."
    )


class Costs(BaseModel):
    """Cost of each operation, and the total."""

    operations: list[OperationCost] = Field(description="Cost of each operation with billed calls.")
    totals: dict[str, str] = Field(description="Total cost by currency, as decimal text.")
    unpriced: list[str] = Field(
        description="Operations with billed calls but without a price, as `vendor/operation`. To set a "
        "price, use the setting `prices` of the vendor."
    )


def costs_router(world: World) -> APIRouter:
    """Return the routes for costs."""
    router = APIRouter(tags=["costs"])

    @router.get("/costs")
    async def get_costs(*, credential: FilterDep, since_start: SinceStart = False) -> Costs:
        """Return the cost of all billed calls.

        The prices come from the setting `prices` of each vendor. A call that creates a task is billed at
        once. If the task fails, the call is no longer included.
        """
        costs = await world.meter.costs(credential, since_start=since_start)
        return Costs(
            operations=[OperationCost.model_validate(to_document(cost)) for cost in costs],
            totals={currency: plain(amount) for currency, amount in totals(costs).items()},
            unpriced=[f"{cost.vendor}/{cost.operation}" for cost in costs if not cost.amounts],
        )

    @router.delete("/costs", status_code=204)
    async def forget_costs(credential: FilterDep) -> None:
        """Reset the costs to zero."""
        await world.meter.forget(credential)

    return router
