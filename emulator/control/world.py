"""The emulator as a whole: whether it is alive, whether it is ready, and how it is reset."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from emulator.control.dependencies import CredentialText
from emulator.web.vendor import Vendor
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


class Reset(BaseModel):
    """Whose state is to be forgotten."""

    model_config = ConfigDict(extra="forbid")

    credential: CredentialText | None = Field(default=None, description="Everybody's, if left out.")


def world_router(
    world: World,
    vendors: Sequence[Vendor],
    version: str,
    progress: Progress,
    runs: dict[str, str],
    rooms: Sequence[APIRouter],
) -> APIRouter:
    """Return the routes that concern the whole emulator; ``rooms`` are all the others."""
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
