"""The operation of face reconstruction."""

from __future__ import annotations

from fastapi import Request, Response
from starlette.datastructures import UploadFile

from emulator.face.errors import FaceError
from emulator.pipelines.options import DESCRIBE_HEAD, DescriptionOptions, ImageRules
from emulator.vendors.metahuman.application import FORM_BYTES, warn_of_dropped
from emulator.vendors.metahuman.auth import authenticate
from emulator.vendors.metahuman.errors import PHOTO
from emulator.vendors.metahuman.face_recon.wire import (
    RunPipelineFields,
    RunPipelineResult,
    invalid_fields,
    render_success,
    texture_name,
)
from emulator.vendors.metahuman.settings import SettingsDep
from emulator.vendors.metahuman.static.operations import put_file
from emulator.vendors.metahuman.wire import REFUSED_FORM, render_invalid
from emulator.web.call import CallDep, WorldDep
from emulator.web.media_types import contradicts, picture_type
from emulator.web.vendor import Api
from emulator.world.operation import MULTIPART, Billing, Example, Operation

FORMATS = frozenset({"jpeg", "png", "heic", "bmp", "webp"})
"""Allowed formats of photos. The vendor's errors page lists all five, its method page only three."""

TEXTURE_BYTES = 2_000_000
"""Textures have fewer bytes than this. The vendor's GLB constructor refuses textures of 2 MB or more."""


async def run_pipeline(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> Response:
    """Get the texture and the parameters of a head from a photo."""
    # Parse the form here: if FastAPI did it, text fields of more than 1 MB would be refused.
    async with request.form(max_part_size=settings.image_bytes + FORM_BYTES) as form:
        token, upload = form.get("token"), form.get("image_bytes")
        # Record the token before checking the form, so that the journal has the token of an invalid call too.
        if isinstance(token, str) and token:
            await call.identify(token)
        if not isinstance(token, str) or not token or not isinstance(upload, UploadFile):
            return render_invalid(invalid_fields(token, upload))
        credential = await authenticate(token, call, world.credentials, PHOTO)
        warn_of_dropped(form, RunPipelineFields.model_fields, call)
        photo = await upload.read(settings.image_bytes)
        file_name = upload.filename
        if contradicts(upload.content_type, photo):
            said = f"image_bytes: declared {upload.content_type}, sent {picture_type(photo)}"
            call.warn("upload-content-type-mismatch", said)
    if len(photo) >= settings.image_bytes:
        raise PHOTO["FILE_TOO_LARGE"].occur()
    photo = await world.degraded(photo, call.picture_fault)
    options = DescriptionOptions(ImageRules(FORMATS), settings.texture_size, TEXTURE_BYTES, settings.gender)
    try:
        head = await world.queue.run(DESCRIBE_HEAD, photo, options)
    except FaceError as error:
        raise PHOTO.for_cause(error).occur() from error
    async with world.creations.of(credential):
        name = texture_name(file_name, await world.ids.draw(credential, "metahuman/texture", 8))
        await put_file(world, name, head.texture, credential)
    await world.meter.bill("metahuman", RUN_PIPELINE.name, credential)
    return render_success(head, name)


RUN_PIPELINE = Operation(
    name="run_pipeline",
    methods=("POST",),
    paths=("/face_recon/run_pipeline",),
    endpoint=run_pipeline,
    takes_picture=True,
    billing=Billing(),
    errors=PHOTO,
    request=RunPipelineFields,
    request_types=(MULTIPART,),
    response=RunPipelineResult,
    other_answers=REFUSED_FORM,
    example=Example(form={"token": "{token}"}, files={"image_bytes": "ok-frontal"}),
)

api = Api("3D face reconstruction", (RUN_PIPELINE,))
