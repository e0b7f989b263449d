"""Health and readiness, and what is answered to a path that nobody owns."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from emulator.backends.queue import WorkQueue
from emulator.web.vendor import Vendor


class Health(BaseModel):
    """That the server is alive, and what it serves."""

    status: str = Field(description="Always `ok`.")
    version: str
    vendors: dict[str, list[str]] = Field(description="Path prefixes by vendor.")


class Readiness(BaseModel):
    """Whether pictures can be computed without waiting for the face core."""

    ready: bool


def control_router(queue: WorkQueue, vendors: Sequence[Vendor], version: str) -> APIRouter:
    """Return the routes below ``/_emulator``."""
    router = APIRouter(prefix="/_emulator", tags=["control"])

    @router.get("/health")
    async def health() -> Health:
        """Answer as soon as the server listens."""
        return Health(
            status="ok", version=version, vendors={vendor.name: list(vendor.prefixes) for vendor in vendors}
        )

    @router.get("/ready", responses={503: {"model": Readiness}})
    async def ready(response: Response) -> Readiness:
        """Answer 200 once the face core is warm, 503 before."""
        response.status_code = 200 if queue.is_warm else 503
        return Readiness(ready=queue.is_warm)

    return router


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
