"""Routes for the whole emulator: health, readiness and reset."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from emulator.control.dependencies import CredentialText
from emulator.web.vendor import Vendor
from emulator.world.world import World


class Tls(BaseModel):
    """The TLS listener, which serves the vendors' own names."""

    url: str = Field(description="Base URL of the listener.")
    folder: str = Field(description="Folder of the certificates that clients trust, on the server's machine.")
    names: list[str] = Field(description="Host names of the vendors.")


class Health(BaseModel):
    """Version, vendors and storage of the emulator."""

    status: str = Field(description="Always `ok`.")
    version: str = Field(description="Version of the emulator.")
    vendors: dict[str, list[str]] = Field(description="Path prefixes of the vendors' APIs, by vendor.")
    capabilities: list[str] = Field(
        description="Tags of the control API's routes. Each names a part of the API."
    )
    runs: dict[str, str] = Field(
        description="How and where the emulator keeps `records`, files (`blobs`) and its task `queue`."
    )
    tls: Tls | None = Field(default=None, description="The TLS listener; null if TLS is off.")


class Readiness(BaseModel):
    """Readiness of the emulator."""

    ready: bool = Field(description="Whether the init scripts have run and the face core is loaded.")
    face_core_warm: bool = Field(description="Whether all workers have loaded the face core.")
    hooks_run: bool = Field(description="Whether all init scripts have run; true if there are none.")


class Progress:
    """Progress of the startup. The code that starts the server updates it."""

    def __init__(self, *, hooks_run: bool) -> None:
        self.hooks_run = hooks_run
        self.tls: Tls | None = None


class Reset(BaseModel):
    """The credential to reset."""

    model_config = ConfigDict(extra="forbid")

    credential: CredentialText | None = Field(
        default=None, description="Credential to reset; omit it to reset everything."
    )


def world_router(
    world: World,
    vendors: Sequence[Vendor],
    version: str,
    progress: Progress,
    runs: dict[str, str],
    routers: Sequence[APIRouter],
) -> APIRouter:
    """Return the routes for the whole emulator; ``routers`` are the other routers of the control API."""
    router = APIRouter(tags=["world"])

    @router.get("/health")
    async def health() -> Health:
        """Check that the server is running.

        The server answers as soon as it listens, even before the emulator is ready.
        """
        return Health(
            status="ok",
            version=version,
            vendors={vendor.name: list(vendor.prefixes) for vendor in vendors},
            capabilities=sorted({"world", *(str(tag) for each in routers for tag in each.tags)}),
            runs=runs,
            tls=progress.tls,
        )

    @router.get("/ready", responses={503: {"model": Readiness}})
    async def ready(response: Response) -> Readiness:
        """Check that the emulator is ready.

        It answers 200 when the init scripts have run and the face core is loaded, and 503 until then.
        """
        warm = world.queue.is_warm
        found = Readiness(
            ready=warm and progress.hooks_run, face_core_warm=warm, hooks_run=progress.hooks_run
        )
        response.status_code = 200 if found.ready else 503
        return found

    @router.post("/reset", status_code=204)
    async def reset_state(body: Reset | None = None) -> None:
        """Delete everything stored for a credential, or everything.

        This deletes files, tasks, units, fault rules, endpoints, deliveries, costs and recorded calls. It
        resets the clock, progression, lifetimes, plan and credential state. Id counters restart, so that the
        same calls get the same responses again.
        """
        await world.reset(None if body is None else body.credential)

    return router
