"""The endpoints of MetaHuman SDK's face reconstruction."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, FastAPI, File, Form, HTTPException, Request, Response, UploadFile

from emulator.face.errors import FaceError
from emulator.pipelines.images import ImageRules
from emulator.pipelines.reconstruct import DescriptionOptions, describe_head
from emulator.vendors.metahuman.auth import authenticate
from emulator.vendors.metahuman.errors import ERRORS
from emulator.vendors.metahuman.settings import MetaHumanSettings, SettingsDep
from emulator.vendors.metahuman.wire import render_error, render_success, render_token, texture_name
from emulator.web.catalogue import VendorError
from emulator.web.services import Services, ServicesDep
from emulator.web.vendor import vendor_application

FORMATS = frozenset({"jpeg", "png", "heic", "bmp", "webp"})
"""Of which the method page names the first three, and the errors page all."""

router = APIRouter()


def build(services: Services, settings: MetaHumanSettings) -> FastAPI:
    """Return the application that answers for MetaHuman SDK.

    The service is a FastAPI application itself, as far as its error answers tell: what is not
    documented (a missing field, an unknown path) is answered as FastAPI answers.
    """
    app = vendor_application(services, settings, router)
    app.add_exception_handler(VendorError, _documented)
    app.add_exception_handler(Exception, _defect)
    return app


@router.post("/auth/token")
async def token(
    services: ServicesDep,
    mail: Annotated[str, Form()],
    name: Annotated[str, Form()] = "",
    comment: Annotated[str, Form()] = "",
) -> Response:
    """Register, and get a token."""
    return render_token(await services.ids.draw_uuid4(f"{name}\n{mail}\n{comment}", "metahuman/token"))


@router.post("/face_recon/run_pipeline")
async def run_pipeline(
    services: ServicesDep,
    settings: SettingsDep,
    token: Annotated[str, Form()],
    image_bytes: Annotated[UploadFile, File()],
) -> Response:
    """Get texture and parameters of a head from a photo."""
    owner = authenticate(token, services.credentials)
    photo = await image_bytes.read(settings.image_bytes)
    if len(photo) >= settings.image_bytes:
        raise ERRORS["FILE_TOO_LARGE"].occur()
    options = DescriptionOptions(ImageRules(FORMATS), settings.texture_size)
    try:
        head = await services.queue.run(describe_head, photo, options)
    except FaceError as error:
        raise ERRORS.for_cause(error).occur() from error
    name = texture_name(image_bytes.filename, await services.ids.draw(owner, "metahuman/texture", 8))
    await services.blobs.put(_blob_key(name), head.texture)
    return render_success(head, name)


@router.get("/static/{name}")
@router.get("/face_recon/static/{name}")
async def static(services: ServicesDep, name: str) -> Response:
    """Download a texture."""
    texture = await services.blobs.get(_blob_key(name))
    if texture is None:
        raise HTTPException(404)
    return Response(texture, media_type="image/png")


async def _documented(_request: Request, error: Exception) -> Response:
    if not isinstance(error, VendorError):
        raise TypeError(error)
    return render_error(error)


async def _defect(_request: Request, _error: Exception) -> Response:
    return render_error(ERRORS["INTERNAL_ERROR"].occur())


def _blob_key(name: str) -> str:
    return f"metahuman/static/{name}"
