"""The control API: how a tester sees and bends the emulated world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from emulator.control.clock import clock_router
from emulator.control.costs import costs_router
from emulator.control.credential import CredentialText
from emulator.control.faults import faults_router
from emulator.control.journal import journal_router
from emulator.control.lifetimes import lifetimes_router
from emulator.control.scenario import scenario_router
from emulator.control.snapshot import snapshot_router
from emulator.control.tasks import tasks_router
from emulator.control.webhooks import webhooks_router
from emulator.web.openapi import describe
from emulator.web.vendor import Vendor, VendorSettings
from emulator.world.credentials import CredentialState
from emulator.world.error_catalogue import CatalogueEntry
from emulator.world.faults.engine import RESERVED
from emulator.world.world import World


class Health(BaseModel):
    """That the server is alive, and what it serves."""

    status: str = Field(description="Always `ok`.")
    version: str
    vendors: dict[str, list[str]] = Field(description="Path prefixes by vendor.")
    capabilities: list[str] = Field(description="What the control API can do, by the tags of its operations.")
    runs: dict[str, str] = Field(description="What stands behind each port, and where.")


class Readiness(BaseModel):
    """Whether the world is as the tester wants it, and pictures can be computed without waiting."""

    ready: bool
    face_core_warm: bool
    hooks_run: bool = Field(description="Whether the init hooks are through, if there are any.")


class Progress:
    """How far the start has come. Changed by who starts the server."""

    def __init__(self, *, hooks_run: bool) -> None:
        self.hooks_run = hooks_run


class ListedCredential(BaseModel):
    """A credential, and what it is."""

    credential: CredentialText
    state: CredentialState


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


class Reset(BaseModel):
    """Whose state is to be forgotten."""

    model_config = ConfigDict(extra="forbid")

    credential: CredentialText | None = Field(default=None, description="Everybody's, if left out.")


def control_router(
    world: World,
    vendors: Sequence[Vendor],
    settings: Mapping[str, VendorSettings],
    version: str,
    progress: Progress,
    runs: dict[str, str],
) -> APIRouter:
    """Return the routes below ``/_emulator``."""
    router = APIRouter(prefix="/_emulator")
    rooms = [
        _credentials_router(world),
        _contract_router(world, vendors, settings),
        clock_router(world.clock, world.clocks),
        faults_router(world, vendors),
        scenario_router(world, vendors),
        tasks_router(world, vendors),
        lifetimes_router(world),
        webhooks_router(world),
        journal_router(world, version),
        costs_router(world),
        snapshot_router(world, version),
    ]
    router.include_router(_world_router(world, vendors, version, progress, runs, rooms))
    for room in rooms:
        router.include_router(room)
    return router


def _world_router(
    world: World,
    vendors: Sequence[Vendor],
    version: str,
    progress: Progress,
    runs: dict[str, str],
    rooms: Sequence[APIRouter],
) -> APIRouter:
    router = APIRouter(tags=["world"])

    @router.get("/health")
    async def health() -> Health:
        """Answer as soon as the server listens."""
        return Health(
            status="ok",
            version=version,
            vendors={vendor.name: list(vendor.prefixes) for vendor in vendors},
            capabilities=sorted({"world", *(str(tag) for room in rooms for tag in room.tags)}),
            runs=runs,
        )

    @router.get("/ready", responses={503: {"model": Readiness}})
    async def ready(response: Response) -> Readiness:
        """Answer 200 once the init hooks have run and the face core is warm, 503 before."""
        warm = world.queue.is_warm
        found = Readiness(
            ready=warm and progress.hooks_run, face_core_warm=warm, hooks_run=progress.hooks_run
        )
        response.status_code = 200 if found.ready else 503
        return found

    @router.post("/reset", status_code=204)
    async def reset_state(body: Reset | None = None) -> None:
        """Forget what a credential owns: files, tasks, units, faults, clock, journal; or everybody's.

        Its ids begin again, so that the same calls get the same answers as the first time.
        """
        await world.reset(None if body is None else body.credential)

    return router


def _credentials_router(world: World) -> APIRouter:
    router = APIRouter(tags=["credentials"])

    @router.get("/credentials")
    async def list_credentials() -> list[ListedCredential]:
        """List the credentials that somebody has listed, with what they are."""
        listed = await world.credentials.list()
        return [ListedCredential(credential=key, state=state) for key, state in listed.items()]

    @router.put("/credentials")
    async def put_credential(listed: ListedCredential) -> ListedCredential:
        """List a credential, or change what it is."""
        await world.credentials.put(listed.credential, listed.state)
        return listed

    @router.delete("/credentials/{credential:path}", status_code=204)
    async def remove_credential(credential: str) -> None:
        """Take back what was listed here."""
        if not await world.credentials.remove(credential):
            raise HTTPException(404, f"{credential} was not listed here")

    return router


def _contract_router(
    world: World, vendors: Sequence[Vendor], settings: Mapping[str, VendorSettings]
) -> APIRouter:
    router = APIRouter(tags=["contracts"])
    by_name = {vendor.name: vendor for vendor in vendors}

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


def answer_unknown_path(request: Request, vendors: Sequence[Vendor]) -> JSONResponse:
    """Return a 404 that says which paths there are."""
    return JSONResponse(
        {
            "error": f"nothing is served at {request.url.path}",
            "vendors": {vendor.name: list(vendor.prefixes) for vendor in vendors},
            "control": "/_emulator/openapi.json",
        },
        status_code=404,
    )
