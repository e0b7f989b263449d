"""Query and response models of the unit API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Response
from pydantic import Field

from emulator.vendors.perfectcorp.body import Page
from emulator.vendors.perfectcorp.units.ledger import Charge, Grant
from emulator.vendors.perfectcorp.wire import Done, Member, Result, render


class HistoryPage(Page):
    """A page of the history, with 1 to 30 entries."""

    page_size: Annotated[int, Field(ge=1, le=30)] = 20


class CostPage(Page):
    """A page of the costs, with 1 to 20 entries."""

    page_size: Annotated[int, Field(ge=1, le=20)] = 20


class GrantedUnits(Member):
    """Units that were granted to a key. `expiry` is in milliseconds since the Unix epoch."""

    id: int
    type: Literal["ApiSubsToken", "ApiPaygToken"]
    amount: int
    amount_dec: float
    expiry: int


class Grants(Done):
    """The units of a key."""

    results: list[GrantedUnits]


class SpentUnits(Member):
    """The units that a charge took from one grant, as negative numbers."""

    id: int
    amount: int
    amount_dec: float


class Info(Member):
    """The parts of a charge."""

    credits: list[SpentUnits]
    dst_actions: list[str]


class HistoryEntry(Member):
    """A charge. `timestamp` is in milliseconds since the Unix epoch."""

    id: int
    timestamp: int
    action: str
    target_id: str
    info: Info


class History(Member):
    """A page of the history, the newest charge first."""

    next_token: str | None
    history: list[HistoryEntry]


class Sku(Member):
    """The cost of a feature."""

    description: str
    amount: int
    unit: Literal["result_image", "second"]
    proc_unit: int
    run_task_url: str


class Skus(Member):
    """A page of the costs of features."""

    next_token: str | None
    skus: list[Sku]


def render_grants(grants: Sequence[Grant]) -> Response:
    """Return the response that lists a key's grants."""
    found = [
        GrantedUnits(
            id=grant.id,
            type="ApiPaygToken",
            amount=grant.amount,
            amount_dec=float(grant.amount),
            expiry=round(grant.expires_at * 1000),
        )
        for grant in grants
    ]
    return render(Grants(results=found))


def render_history(charges: Sequence[tuple[str, Charge]], next_token: str | None) -> Response:
    """Return the response with a page of charges, each with the id of its task."""
    history = [
        HistoryEntry(
            id=charge.id,
            timestamp=round(charge.timestamp * 1000),
            action=charge.action,
            target_id=task_id,
            info=Info(
                credits=[
                    SpentUnits(id=part.id, amount=-part.amount, amount_dec=-float(part.amount))
                    for part in charge.parts
                ],
                dst_actions=[],
            ),
        )
        for task_id, charge in charges
    ]
    return render(Result[History](result=History(next_token=next_token, history=history)))


def render_costs(skus: Sequence[Sku], next_token: str | None) -> Response:
    """Return the response with a page of the costs of features."""
    return render(Result[Skus](result=Skus(next_token=next_token, skus=list(skus))))
