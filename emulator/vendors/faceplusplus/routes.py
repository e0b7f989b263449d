"""The endpoints of Face++."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import UploadFile

from emulator.clock import Stopwatch
from emulator.face.errors import RefusedImage
from emulator.pipelines.options import RECONSTRUCT_WAVEFRONT, ImageRules, Wavefront, WavefrontOptions
from emulator.vendors.faceplusplus.auth import authenticate
from emulator.vendors.faceplusplus.errors import ERRORS, Layer
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings, SettingsDep
from emulator.vendors.faceplusplus.wire import (
    FIELDS,
    IMAGE_KINDS,
    MILLIMETRES_PER_CM,
    MTL_NAME,
    TEXTURE_NAME,
    Fields,
    ImageField,
    decode_base64,
    render_error,
    render_success,
)
from emulator.web.call import Call, CallDep
from emulator.web.catalogue import VendorError
from emulator.web.fetch import FetchFailed
from emulator.web.limits import SlidingWindow
from emulator.web.notices import contradicts, picture_type
from emulator.web.services import Services, ServicesDep
from emulator.web.vendor import Dialect, vendor_application

router = APIRouter()


def build(services: Services, settings: FacePlusPlusSettings) -> FastAPI:
    """Return the application that answers for Face++."""
    dialect = Dialect(
        render=_render,
        defect=ERRORS["INTERNAL_ERROR"],
        too_large=ERRORS["REQUEST_ENTITY_TOO_LARGE"].occur(),
        unknown_path=ERRORS["API_NOT_FOUND"],
        wrong_method=ERRORS["METHOD_NOT_ALLOWED"],
    )
    app = vendor_application(services, settings, router, dialect, lambda _path: settings.body_bytes)
    app.state.calls = SlidingWindow(settings.qps, seconds=1.0) if settings.qps else None
    if app.state.calls is not None:
        services.forgetters.append(app.state.calls.forget)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    return app


@router.post("/facepp/v1/3dface", name="3dface")
async def three_d_face(
    request: Request, call: CallDep, services: ServicesDep, settings: SettingsDep
) -> Response:
    """Reconstruct a head from one to three photos."""
    request.state.stopwatch = Stopwatch()
    async with Fields.reading(request, longest_field=settings.body_bytes) as fields:
        api_key = await authenticate(fields, call, services.credentials)
        _warn(request, fields, call)
        calls: SlidingWindow | None = request.app.state.calls
        if calls is not None and not calls.allows(api_key, services.clock.now(api_key)):
            raise ERRORS["CONCURRENCY_LIMIT_EXCEEDED"].occur()
        request.state.request_id = await _draw_request_id(services, api_key)
        if fields.image(1) is None:
            raise ERRORS["MISSING_ARGUMENTS"].occur(param="image_url_1, image_file_1, image_base64_1")
        texture, mtl = await fields.flag("texture"), await fields.flag("mtl")
        images = [image for image in map(fields.image, (1, 2, 3)) if image is not None]
        head = await _reconstruct(images, call, services, settings)
        # What failed is not billed: a guess.
        await services.meter.bill("faceplusplus", "3dface", api_key)
    return render_success(
        head,
        request_id=request.state.request_id,
        texture=texture,
        mtl=mtl,
        time_used_ms=request.state.stopwatch.elapsed_ms(),
        absent_members=settings.absent_members,
    )


def _warn(request: Request, fields: Fields, call: Call) -> None:
    """Warn of fields that nobody reads, and of credentials where they should not be."""
    names = fields.names()
    for name in names:
        if name not in FIELDS:
            call.warn("field-dropped", f"there is no field {name}")
    for number in (1, 2, 3):
        sent = [name for kind in IMAGE_KINDS if (name := f"image_{kind}_{number}") in names]
        for name in sent[1:]:
            call.warn("field-dropped", f"{sent[0]} goes before {name}")
    for name in ("api_key", "api_secret"):
        if name in request.query_params:
            call.warn("credential-in-query", name)


async def _reconstruct(
    images: list[ImageField], call: Call, services: Services, settings: FacePlusPlusSettings
) -> Wavefront:
    options = WavefrontOptions(
        rules=ImageRules(frozenset({"jpeg"}), settings.longest_side, settings.shortest_side),
        texture_size=settings.texture_size,
        units_per_cm=MILLIMETRES_PER_CM,
        material_library=MTL_NAME,
        texture_name=TEXTURE_NAME,
    )

    async def run(photos: list[bytes]) -> Wavefront:
        try:
            return await services.queue.run(RECONSTRUCT_WAVEFRONT, tuple(photos), options)
        except RefusedImage as error:
            entry = ERRORS.for_cause(error.reason)
            raise entry.occur(param=images[error.position].name) from error

    photos: list[bytes] = []
    for image in images:
        try:
            photos.append(await _read_image(image, call, services, settings))
        except VendorError:
            # Images are judged one after the other: what is wrong with an earlier one is said first.
            if photos:
                await run(photos)
            raise
    return await run(photos)


async def _read_image(
    field: ImageField, call: Call, services: Services, settings: FacePlusPlusSettings
) -> bytes:
    if isinstance(field.value, UploadFile):
        data = await field.value.read()
        if contradicts(field.value.content_type, data):
            said = f"{field.name}: {field.value.content_type} is said, {picture_type(data)} was sent"
            call.warn("upload-content-type-mismatch", said)
    elif field.kind == "url":
        try:
            data = await services.fetcher.fetch(
                field.value, limit=settings.image_bytes, timeout_s=settings.download_timeout_s
            )
        except FetchFailed as error:
            raise ERRORS.for_cause(error).occur() from error
    else:
        decoded = decode_base64(field.value)
        if decoded is None:
            raise ERRORS["IMAGE_ERROR_UNSUPPORTED_FORMAT"].occur(param=field.name)
        data = decoded
    if len(data) > settings.image_bytes:
        raise ERRORS["IMAGE_FILE_TOO_LARGE"].occur(param=field.name)
    return await services.degraded(data, call.picture_fault)


async def _draw_request_id(services: Services, scope: str) -> str:
    """Return the next request id: the second of the request, and a UUID."""
    number = await services.ids.draw_uuid4(scope, "faceplusplus/request")
    return f"{int(services.clock.now(scope))},{number}"


async def _render(request: Request, error: VendorError) -> Response:
    request_id = getattr(request.state, "request_id", "")
    if not request_id and ERRORS[error.entry.name].layer is Layer.API:
        request_id = await _draw_request_id(request.app.state.services, "")
    time_used_ms = request.state.stopwatch.elapsed_ms() if hasattr(request.state, "stopwatch") else 0
    return render_error(error, request_id=request_id, time_used_ms=time_used_ms)
