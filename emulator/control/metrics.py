"""The route for the metrics, which Prometheus fetches."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from emulator.control.readings import Reading, read_metrics
from emulator.world.world import World

OPEN_METRICS = "application/openmetrics-text"


def metrics_router(world: World) -> APIRouter:
    """Return the route for the metrics."""
    router = APIRouter(tags=["metrics"])

    @router.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses={200: {"content": {OPEN_METRICS: {"schema": {"type": "string"}}}}},
    )
    async def read(request: Request) -> Response:
        """Return the metrics for Prometheus.

        The response is in the text format of Prometheus, or of OpenMetrics for a client that asks for it.
        Counters begin at 0 when the server starts. A reset does not change them.
        """
        reading = await read_metrics(world)
        accept = ",".join(request.headers.getlist("accept"))
        content, media_type = await asyncio.to_thread(_exposed, reading, accept)
        return Response(content, headers={"Content-Type": media_type})

    return router


def _exposed(reading: Reading, accept: str) -> tuple[bytes, str]:
    # The start of the server does not need the library, so import it at the first request.
    from emulator.control.exposition import expose  # noqa: PLC0415 - see above

    return expose(reading, accept)
