"""Routes that describe the vendors' APIs: operations, errors and OpenAPI documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, Field

from emulator.web.openapi import describe
from emulator.web.vendor import Vendor, VendorSettings
from emulator.world.error_catalogue import CatalogueEntry
from emulator.world.faults.engine import RESERVED
from emulator.world.operation import callable_names
from emulator.world.world import World


class Operations(BaseModel):
    """Names of a vendor's operations."""

    operations: list[str] = Field(
        description="Operations that clients call. If the vendor sends webhooks, also `webhook`."
    )
    creating_tasks: list[str] = Field(
        description="Operations that create a task. Faults of tasks and of their webhooks can match them."
    )
    taking_pictures: list[str] = Field(
        description="Operations that receive a picture. Faults of pictures can match them."
    )
    billed: list[str] = Field(description="Operations that can have a price.")


class InBand(BaseModel):
    """How a client can request the error for its own calls."""

    header: str = Field(description="Header that requests the error for one call.")
    credential: str = Field(
        description="Credential that requests the error: all calls with it get the error. A dot and any text "
        "can be appended, for example to separate tests."
    )


class ErrorDescription(BaseModel):
    """An error of a vendor's catalogue, and every way to cause it."""

    vendor: str = Field(description="Name of the vendor.")
    name: str = Field(description="Name of the error, unique among the vendor's errors.")
    status: int = Field(description="HTTP status; 200 for an error inside a successful response.")
    text: str = Field(description="The vendor's message or code, with placeholders such as `{param}`.")
    when: str = Field(description="When the emulator returns the error, as a sentence.")
    mark: str = Field(
        description="How well the entry is known: `CONFIRMED` (stated in the vendor's documentation), "
        "`OBSERVED` (seen in responses or real clients) or `GUESS` (inferred)."
    )
    source: str = Field(description="Document or recording that the entry comes from.")
    of_task: bool = Field(
        description="True if a task ends with the error, and only polls of the task return it."
    )
    operations: list[str] = Field(description="Operations whose calls or tasks can fail with the error.")
    by_nature: str | None = Field(description="The same as `when`; null if only a fault causes the error.")
    by_rule: dict[str, Any] = Field(
        description="Body for `POST /_emulator/faults`: a rule that injects the error."
    )
    in_band: InBand | None = Field(
        description="How clients can request the error; null if the setting `in_band_faults` is false."
    )


def operations_router(
    world: World, vendors: Sequence[Vendor], settings: Mapping[str, VendorSettings]
) -> APIRouter:
    """Return the routes for operations, errors and OpenAPI documents."""
    router = APIRouter(tags=["contracts"])
    by_name = {vendor.name: vendor for vendor in vendors}

    @router.get("/operations")
    async def list_operations() -> dict[str, Operations]:
        """List the operations of each vendor.

        Rules, filters and prices use these names. The operation `webhook` is special: it is not a call of a
        client, but a request that the emulator sends to an endpoint.
        """
        return {
            vendor.name: Operations(
                operations=list(callable_names(vendor)),
                creating_tasks=[name for name, each in vendor.operations.items() if each.task is not None],
                taking_pictures=[name for name, each in vendor.operations.items() if each.takes_picture],
                billed=[name for name, each in vendor.operations.items() if each.billing is not None],
            )
            for vendor in vendors
        }

    @router.get("/errors")
    async def list_errors() -> list[ErrorDescription]:
        """List all errors of all vendors.

        The list says when each error occurs, and how to inject it: with a fault rule, or with a header or a
        credential that the client sends.
        """
        in_band = world.faults.in_band
        return [
            _describe(vendor, entry, in_band=in_band)
            for vendor in vendors
            for entry in vendor.errors.values()
        ]

    @router.get("/openapi/{name}.json")
    async def vendor_openapi(
        name: Annotated[str, Path(description="Name of the vendor.")],
    ) -> dict[str, Any]:
        """Return the OpenAPI document of a vendor.

        The document describes the vendor's API as this emulator serves it.
        """
        if name not in by_name:
            raise HTTPException(404, f"there is no vendor {name}; choose one of {', '.join(by_name)}")
        return describe(by_name[name], settings[name])

    return router


def _describe(vendor: Vendor, entry: CatalogueEntry, *, in_band: bool) -> ErrorDescription:
    header, credential = f"X-Emulator-Fault: {entry.name}", f"{RESERVED}{entry.name}"
    return ErrorDescription(
        vendor=vendor.name,
        name=entry.name,
        status=entry.status,
        text=entry.text,
        when=entry.when,
        mark=entry.mark,
        source=entry.source,
        of_task=entry.of_task,
        operations=[name for name, each in vendor.operations.items() if entry.name in each.errors],
        by_nature=entry.when if entry.is_natural else None,
        by_rule={"match": {"vendor": vendor.name}, "effect": entry.name},
        in_band=InBand(header=header, credential=credential) if in_band else None,
    )
