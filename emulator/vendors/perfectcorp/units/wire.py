"""Query and response models of the operations for units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Response
from pydantic import Field

from emulator.vendors.perfectcorp.body import Page
from emulator.vendors.perfectcorp.units.ledger import Charge, Grant
from emulator.vendors.perfectcorp.wire import Done, Member, Result, render


class HistoryPage(Page):
    """The query parameters that select a page of the unit history. A page has 1 to 30 charges."""

    page_size: Annotated[int, Field(ge=1, le=30)] = Field(
        default=20, description="Maximum number of charges on the page."
    )


class CostPage(Page):
    """The query parameters that select a page of the prices. A page has 1 to 20 features."""

    page_size: Annotated[int, Field(ge=1, le=20)] = Field(
        default=20, description="Maximum number of features on the page."
    )


class GrantedUnits(Member):
    """A grant: an amount of units that a key received at one time."""

    id: int = Field(description="Number of the grant, an integer that can exceed 2^53.")
    type: Literal["ApiSubsToken", "ApiPaygToken"] = Field(
        description="`ApiSubsToken` for units of a subscription, `ApiPaygToken` for bought units."
    )
    amount: int = Field(
        description="Units that are neither reserved nor spent. Deprecated: use `amount_dec`."
    )
    amount_dec: float = Field(description="Units that are neither reserved nor spent.")
    expiry: int = Field(description="When the units expire, in milliseconds since the Unix epoch.")


class Grants(Done):
    """The grants of a key."""

    results: list[GrantedUnits] = Field(
        description="Grants of the key, in the order in which tasks use them. A grant is an amount of units "
        "that the key received at one time."
    )


class SpentUnits(Member):
    """The units that a charge took from one grant."""

    id: int = Field(description="Number of the grant that the units come from.")
    amount: int = Field(description="Units taken from the grant, as a negative number.")
    amount_dec: float = Field(description="Units taken from the grant, as a negative number.")


class Info(Member):
    """The details of a charge."""

    credits: list[SpentUnits] = Field(description="Units that the charge took from each grant.")
    dst_actions: list[str] = Field(
        description="Always empty. Other features of the vendor list their actions here."
    )


class HistoryEntry(Member):
    """The charge for a task."""

    id: int = Field(description="Number of the charge, an integer that can exceed 2^53.")
    timestamp: int = Field(description="Time of the charge, in milliseconds since the Unix epoch.")
    action: str = Field(description="The vendor's name for what was charged, such as `api_face_reshape`.")
    target_id: str = Field(description="Id of the task that was charged.")
    info: Info = Field(description="Details of the charge.")


class History(Member):
    """A page of the unit history, newest charge first."""

    next_token: str | None = Field(
        description="The `starting_token` of the next page, or null on the last page."
    )
    history: list[HistoryEntry] = Field(description="Charges that were not refunded, newest first.")


class Sku(Member):
    """The price of a feature."""

    description: str = Field(description="Name of the feature.")
    amount: int = Field(description="Units that the feature costs.")
    unit: Literal["result_image", "second"] = Field(
        description="What is charged: each result picture, or each second of video."
    )
    proc_unit: int = Field(description="Number of pictures or seconds that cost `amount` units.")
    run_task_url: str = Field(description="URL that creates a task of the feature.")


class Skus(Member):
    """A page of the prices of features."""

    next_token: str | None = Field(
        description="The `starting_token` of the next page, or null on the last page."
    )
    skus: list[Sku] = Field(description="Prices of the features.")


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
    """Return the response with a page of the prices of features."""
    return render(Result[Skus](result=Skus(next_token=next_token, skus=list(skus))))
