"""Code that all APIs of Face++ share: the rate limit, request ids and the rendering of errors."""

from __future__ import annotations

import uuid
from typing import Any, cast

from fastapi import FastAPI, Request, Response

from emulator.backends.stateful import DeferredState, Stateful
from emulator.vendors.faceplusplus.errors import GATEWAY, FacePlusPlusEntry, Layer
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings
from emulator.web.vendor import Dialect
from emulator.world.error_catalogue import VendorError
from emulator.world.rate_limit import RateLimit, Window
from emulator.world.world import World


def install(app: FastAPI, world: World, settings: FacePlusPlusSettings) -> None:
    """Register the face tokens. The setting ``qps`` can limit the calls per second."""

    def face_tokens() -> Stateful:
        from emulator.vendors.faceplusplus.face_tokens import FaceTokens  # noqa: PLC0415 - on demand

        return FaceTokens(world)

    world.add(DeferredState(face_tokens))
    qps = settings.qps
    app.state.calls = RateLimit("faceplusplus/calls", (Window(qps, seconds=1),)) if qps else None


async def draw_request_id(world: World, credential: str) -> str:
    """Return a new request id: the Unix time in whole seconds, a comma, and a UUID."""
    drawn = await world.request_ids.draw(credential, "faceplusplus/request", 16)
    number = uuid.UUID(bytes=drawn, version=4)
    return f"{int(world.clock.now(credential))},{number}"


# The start does not need the models of the responses.
async def _render(request: Request, error: VendorError) -> Response:
    from emulator.vendors.faceplusplus.wire import render_error  # noqa: PLC0415 - on demand, see above

    request_id = getattr(request.state, "request_id", "")
    if not request_id and cast("FacePlusPlusEntry", error.entry).layer is Layer.API:
        request_id = await draw_request_id(request.app.state.world, "")
    stopwatch: Any = getattr(request.state, "stopwatch", None)
    time_used_ms = 0 if stopwatch is None else stopwatch.elapsed_ms()
    return render_error(error, request_id=request_id, time_used_ms=time_used_ms)


def _schema(entry: FacePlusPlusEntry) -> tuple[str, dict[str, Any]]:
    from emulator.vendors.faceplusplus.wire import error_schema  # noqa: PLC0415 - on demand, see above

    return error_schema(entry)


DIALECT = Dialect(
    render=_render,
    schema=_schema,
    defect=GATEWAY["INTERNAL_ERROR"],
    too_large=GATEWAY["REQUEST_ENTITY_TOO_LARGE"].occur(),
    longest_body=lambda settings: settings.body_bytes,
    unknown_path=GATEWAY["API_NOT_FOUND"],
    wrong_method=GATEWAY["METHOD_NOT_ALLOWED"],
    open_paths=("/",),
)
