"""What the vendors promise: their operations, their errors, and their OpenAPI documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from emulator.web.openapi import describe
from emulator.web.vendor import Vendor, VendorSettings
from emulator.world.error_catalogue import CatalogueEntry
from emulator.world.faults.engine import RESERVED
from emulator.world.operation import callable_names
from emulator.world.world import World


class Operations(BaseModel):
    """What the clients of a vendor can call, by the names that rules use."""

    operations: list[str]
    creating_tasks: list[str] = Field(description="Where a task's fault can be named.")
    taking_pictures: list[str] = Field(description="Where a picture's fault can be named.")
    billed: list[str] = Field(description="What a price can be set for.")


class InBand(BaseModel):
    """How a client asks for an error by itself."""

    header: str = Field(description="Sent with one call.")
    credential: str = Field(description="In place of the key; a dot and anything may follow.")


class ErrorDescription(BaseModel):
    """An error of a vendor's catalogue, and every way to get it."""

    vendor: str
    name: str
    status: int
    text: str
    when: str
    mark: str
    source: str
    of_task: bool = Field(description="Whether a task ends with it, as polls tell.")
    operations: list[str] = Field(description="The operations that can be answered so.")
    by_nature: str | None = Field(description="What brings it about; None if nothing does.")
    by_rule: dict[str, Any] = Field(description="The body of `POST /_emulator/faults`.")
    in_band: InBand | None = Field(description="None if the setting `in_band_faults` is off.")


def operations_router(
    world: World, vendors: Sequence[Vendor], settings: Mapping[str, VendorSettings]
) -> APIRouter:
    """Return the routes that list operations and errors."""
    router = APIRouter(tags=["contracts"])
    by_name = {vendor.name: vendor for vendor in vendors}

    @router.get("/operations")
    async def list_operations() -> dict[str, Operations]:
        """List what can be called, by vendor; `webhook` is the emulator's own call of a client."""
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
        """List every error of every vendor, and how to get it: by nature, by rule and in band."""
        in_band = world.faults.in_band
        return [
            _describe(vendor, entry, in_band=in_band)
            for vendor in vendors
            for entry in vendor.errors.values()
        ]

    @router.get("/openapi/{name}.json")
    async def vendor_openapi(name: str) -> dict[str, Any]:
        """Describe a vendor's API as it is emulated."""
        if name not in by_name:
            raise HTTPException(404, f"there is no vendor {name}; there are {', '.join(by_name)}")
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
