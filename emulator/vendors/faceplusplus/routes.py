"""The endpoints of Face++."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from emulator.clock import Stopwatch
from emulator.face.errors import RefusedImage
from emulator.pipelines.images import ImageRules
from emulator.pipelines.reconstruct import WavefrontOptions, reconstruct_wavefront
from emulator.vendors.faceplusplus.auth import authenticate
from emulator.vendors.faceplusplus.errors import ERRORS
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings, SettingsDep
from emulator.vendors.faceplusplus.wire import (
    MILLIMETRES_PER_CM,
    MTL_NAME,
    TEXTURE_NAME,
    Fields,
    ImageField,
    decode_base64,
    render_error,
    render_success,
)
from emulator.web.catalogue import VendorError
from emulator.web.fetch import FetchFailed
from emulator.web.services import Services, ServicesDep
from emulator.web.vendor import vendor_application

router = APIRouter()


def build(services: Services, settings: FacePlusPlusSettings) -> FastAPI:
    """Return the application that answers for Face++."""
    app = vendor_application(services, settings, router)
    # The vendor's browser SDK calls from any origin.
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    app.add_exception_handler(HTTPException, _unknown_path)
    app.add_exception_handler(Exception, _defect)
    return app


@router.post("/facepp/v1/3dface")
async def three_d_face(request: Request, services: ServicesDep, settings: SettingsDep) -> Response:
    """Reconstruct a head from one to three photos."""
    stopwatch = Stopwatch()
    request_id = ""
    # In base64 an image takes a third more; as a data URI, wrapped in lines, a little more still.
    async with Fields.reading(request, longest_field=2 * settings.image_bytes) as fields:
        try:
            api_key = authenticate(fields, services.credentials)
            request_id = await _draw_request_id(services, api_key)
            return await _reconstruct(fields, services, settings, request_id, stopwatch)
        except VendorError as error:
            return render_error(error, request_id=request_id, time_used_ms=stopwatch.elapsed_ms())


async def _reconstruct(
    fields: Fields,
    services: Services,
    settings: FacePlusPlusSettings,
    request_id: str,
    stopwatch: Stopwatch,
) -> Response:
    if fields.image(1) is None:
        raise ERRORS["MISSING_ARGUMENTS"].occur(param="image_url_1, image_file_1, image_base64_1")
    texture, mtl = await fields.flag("texture"), await fields.flag("mtl")
    images = [image for image in map(fields.image, (1, 2, 3)) if image is not None]
    photos = tuple([await _read_image(image, services, settings) for image in images])
    options = WavefrontOptions(
        rules=ImageRules(frozenset({"jpeg"}), settings.longest_side, settings.shortest_side),
        texture_size=settings.texture_size,
        units_per_cm=MILLIMETRES_PER_CM,
        material_library=MTL_NAME,
        texture_name=TEXTURE_NAME,
    )
    try:
        head = await services.queue.run(reconstruct_wavefront, photos, options)
    except RefusedImage as error:
        entry = ERRORS.for_cause(error.reason)
        raise entry.occur(param=images[error.position].name) from error
    return render_success(
        head, request_id=request_id, texture=texture, mtl=mtl, time_used_ms=stopwatch.elapsed_ms()
    )


async def _read_image(field: ImageField, services: Services, settings: FacePlusPlusSettings) -> bytes:
    if isinstance(field.value, UploadFile):
        data = await field.value.read()
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
    return data


async def _draw_request_id(services: Services, scope: str) -> str:
    """Return the next request id: the second of the request, and a UUID."""
    number = await services.ids.draw_uuid4(scope, "faceplusplus/request")
    return f"{int(services.clock.now())},{number}"


async def _unknown_path(_request: Request, _error: Exception) -> Response:
    # The gateway words all that it does not serve alike, wrong methods included (a guess).
    return render_error(ERRORS["API_NOT_FOUND"].occur(), request_id="", time_used_ms=0)


async def _defect(request: Request, _error: Exception) -> Response:
    request_id = await _draw_request_id(request.app.state.services, "")
    return render_error(ERRORS["INTERNAL_ERROR"].occur(), request_id=request_id, time_used_ms=0)
