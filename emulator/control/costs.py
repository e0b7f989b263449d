"""What the calls would have cost at the real vendors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from emulator.control.dependencies import FilterDep
from emulator.world.meter import plain, to_document, totals
from emulator.world.world import World

SinceStart = Annotated[
    bool,
    Query(
        description="Whether to count since the server started, whatever was reset or forgotten meanwhile."
    ),
]


class OperationCost(BaseModel):
    """What one operation would have cost."""

    vendor: str
    operation: str
    calls: int = Field(description="How often it is billed.")
    units: int = Field(description="How many of the vendor's units that took.")
    amounts: dict[str, str] = Field(
        description="Money by currency, as decimal text; empty where the settings have no price."
    )


class Costs(BaseModel):
    """What everything would have cost."""

    operations: list[OperationCost]
    totals: dict[str, str] = Field(description="Money by currency, as decimal text.")
    unpriced: list[str] = Field(
        description="What is billed and has no price: `vendor/operation`; set the vendor's `prices`."
    )


def costs_router(world: World) -> APIRouter:
    """Return the routes of the cost twin."""
    router = APIRouter(tags=["costs"])

    @router.get("/costs")
    async def get_costs(*, credential: FilterDep, since_start: SinceStart = False) -> Costs:
        """Say what a credential is billed for, or everybody, and what that costs."""
        costs = world.meter.costs(credential, since_start=since_start)
        return Costs(
            operations=[OperationCost.model_validate(to_document(cost)) for cost in costs],
            totals={currency: plain(amount) for currency, amount in totals(costs).items()},
            unpriced=[f"{cost.vendor}/{cost.operation}" for cost in costs if not cost.amounts],
        )

    @router.delete("/costs", status_code=204)
    async def forget_costs(credential: FilterDep) -> None:
        """Forget the costs of a credential, or all, and count from zero."""
        await world.meter.forget(credential)

    return router
