"""The endpoints of MetaHuman SDK's face reconstruction."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, FastAPI, Form, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import FormData, UploadFile

from emulator.face.errors import FaceError
from emulator.pipelines.options import DESCRIBE_HEAD, DescriptionOptions, ImageRules
from emulator.vendors.metahuman.auth import authenticate
from emulator.vendors.metahuman.errors import ERRORS
from emulator.vendors.metahuman.settings import MetaHumanSettings, SettingsDep
from emulator.vendors.metahuman.wire import (
    invalid_fields,
    missing_field,
    render_error,
    render_invalid,
    render_success,
    render_token,
    texture_name,
)
from emulator.web.call import Call, CallDep
from emulator.web.catalogue import VendorError
from emulator.web.credentials import CredentialState
from emulator.web.notices import contradicts, picture_type
from emulator.web.services import Services, ServicesDep
from emulator.web.vendor import Dialect, vendor_application

FORMATS = frozenset({"jpeg", "png", "heic", "bmp", "webp"})
"""Of which the method page names the first three, and the errors page all."""

FORM_BYTES = 1024 * 1024
"""What a form may have beside its photo."""

TEXTURE_BYTES = 2_000_000
"""A texture has fewer: what the GLB constructor takes."""

router = APIRouter()


def build(services: Services, settings: MetaHumanSettings) -> FastAPI:
    """Return the application that answers for MetaHuman SDK.

    The service is a FastAPI application itself, as far as its error answers tell: what is not
    documented (a missing field, an unknown path) is answered as FastAPI answers.
    """
    dialect = Dialect(
        render=_render, defect=ERRORS["INTERNAL_ERROR"], too_large=ERRORS["FILE_TOO_LARGE"].occur()
    )
    longest = settings.image_bytes + FORM_BYTES
    app = vendor_application(services, settings, router, dialect, lambda _path: longest)
    app.add_exception_handler(RequestValidationError, _invalid)
    return app


@router.post("/auth/token")
async def token(
    request: Request,
    call: CallDep,
    services: ServicesDep,
    mail: Annotated[str, Form()],
    name: Annotated[str, Form()] = "",
    comment: Annotated[str, Form()] = "",
) -> Response:
    """Register, and get a token."""
    await call.identify(None)
    _warn_of_dropped(await request.form(), {"mail", "name", "comment"}, call)
    issued = str(await services.ids.draw_uuid4(f"{name}\n{mail}\n{comment}", "metahuman/token"))
    await services.credentials.put(issued, CredentialState.VALID)
    return render_token(issued)


@router.post("/face_recon/run_pipeline")
async def run_pipeline(
    request: Request, call: CallDep, services: ServicesDep, settings: SettingsDep
) -> Response:
    """Get texture and parameters of a head from a photo."""
    # Read here and not by parameters, since a part that is no file may be longer than a megabyte.
    async with request.form(max_part_size=settings.image_bytes + FORM_BYTES) as form:
        token, upload = form.get("token"), form.get("image_bytes")
        if not isinstance(token, str) or not token or not isinstance(upload, UploadFile):
            return render_invalid(invalid_fields(token, upload))
        owner = await authenticate(token, call, services.credentials)
        _warn_of_dropped(form, {"token", "image_bytes"}, call)
        photo = await upload.read(settings.image_bytes)
        file_name = upload.filename
        if contradicts(upload.content_type, photo):
            said = f"image_bytes: {upload.content_type} is said, {picture_type(photo)} was sent"
            call.warn("upload-content-type-mismatch", said)
    if len(photo) >= settings.image_bytes:
        raise ERRORS["FILE_TOO_LARGE"].occur()
    photo = await services.degraded(photo, call.picture_fault)
    options = DescriptionOptions(ImageRules(FORMATS), settings.texture_size, TEXTURE_BYTES, settings.gender)
    try:
        head = await services.queue.run(DESCRIBE_HEAD, photo, options)
    except FaceError as error:
        raise ERRORS.for_cause(error).occur() from error
    async with services.creations.of(owner):
        name = texture_name(file_name, await services.ids.draw(owner, "metahuman/texture", 8))
        await services.blobs.put(_blob_key(name), head.texture, owner)
    await services.meter.bill("metahuman", "run_pipeline", owner)
    return render_success(head, name)


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
@router.api_route("/face_recon/static/{name}", methods=["GET", "HEAD"])
async def static(request: Request, call: CallDep, services: ServicesDep, name: str) -> Response:
    """Download a texture."""
    await call.identify(await owner_of_texture(services, name))
    texture = await services.blobs.get(_blob_key(name))
    if texture is None:
        raise HTTPException(404)
    tag = f'"{hashlib.sha256(texture).hexdigest()[:32]}"'
    # No name is given twice, unless its owner's state was reset: what it names does not change.
    headers = {"ETag": tag, "Cache-Control": "public, max-age=31536000, immutable"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(texture, headers=headers, media_type="image/png")


async def owner_of_texture(services: Services, name: str) -> str | None:
    """Return the token for which a texture was made, or None if there is no such texture."""
    return await services.blobs.scope_of(_blob_key(name))


def _warn_of_dropped(form: FormData, known: Collection[str], call: Call) -> None:
    for name in dict.fromkeys(form.keys()):
        if name not in known:
            call.warn("field-dropped", f"there is no field {name}")


async def _render(_request: Request, error: VendorError) -> Response:
    return render_error(error)


async def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError(error)
    return render_invalid([missing_field(str(item["loc"][-1])) for item in error.errors()])


def _blob_key(name: str) -> str:
    return f"metahuman/static/{name}"
