"""The operation of face reconstruction."""

from __future__ import annotations

from fastapi import Request, Response

from emulator.face.errors import FaceError
from emulator.pipelines.options import DESCRIBE_HEAD, DescriptionOptions, ImageRules
from emulator.vendors.metahuman.application import FORM_BYTES, warn_of_dropped
from emulator.vendors.metahuman.auth import authenticate
from emulator.vendors.metahuman.errors import PHOTO
from emulator.vendors.metahuman.face_recon.wire import (
    RunPipelineResult,
    render_success,
)
from emulator.vendors.metahuman.photo import FORMATS, PhotoFields, read_form, read_photo
from emulator.vendors.metahuman.settings import SettingsDep
from emulator.vendors.metahuman.static.operations import unique_name
from emulator.vendors.metahuman.static.store import put_file
from emulator.vendors.metahuman.wire import REFUSED_FORM, render_invalid
from emulator.web.call import CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.operation import MULTIPART, Billing, Example, Operation

TEXTURE_BYTES = 2_000_000
"""Textures are smaller than this, in bytes. The vendor's GLB constructor refuses textures of 2 MB or more."""


async def run_pipeline(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> Response:
    """Get the texture and the parameters of a head from a photo."""
    # Parse the form here: if FastAPI did it, text fields of more than 1 MB would be refused.
    async with request.form(max_part_size=settings.image_bytes + FORM_BYTES) as form:
        fields = await read_form(form, call)
        if isinstance(fields, list):
            return render_invalid(fields)
        credential = await authenticate(fields.token, call, world.credentials, PHOTO)
        warn_of_dropped(form, PhotoFields.model_fields, call)
        photo = await read_photo(fields.upload, call, world, settings)
        file_name = fields.upload.filename
    options = DescriptionOptions(ImageRules(FORMATS), settings.texture_size, TEXTURE_BYTES, settings.gender)
    try:
        head = await world.queue.run(DESCRIBE_HEAD, photo, options)
    except FaceError as error:
        raise PHOTO.for_cause(error).occur() from error
    async with world.creations.of(credential):
        name = unique_name(file_name, await world.ids.draw(credential, "metahuman/texture", 8), "texture.png")
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
    request=PhotoFields,
    request_types=(MULTIPART,),
    response=RunPipelineResult,
    other_answers=REFUSED_FORM,
    example=Example(form={"token": "{token}"}, files={"image_bytes": "ok-frontal"}),
)

api = Api("3D face reconstruction", (RUN_PIPELINE,))
