"""The operation of hair reconstruction."""

from __future__ import annotations

from fastapi import Request, Response
from starlette.datastructures import FormData

from emulator.face.errors import FaceError
from emulator.pipelines.options import RECONSTRUCT_HAIR, HairMode, HairOptions, ImageRules
from emulator.vendors.metahuman.application import FORM_BYTES, warn_of_dropped
from emulator.vendors.metahuman.auth import authenticate
from emulator.vendors.metahuman.hair_recon.errors import HAIR
from emulator.vendors.metahuman.hair_recon.wire import HairFields, parse_color
from emulator.vendors.metahuman.models import GLB, MODEL_ANSWER, render_model
from emulator.vendors.metahuman.photo import FORMATS, read_form, read_photo
from emulator.vendors.metahuman.settings import SettingsDep
from emulator.vendors.metahuman.wire import REFUSED_FORM, render_invalid
from emulator.web.call import CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.operation import MULTIPART, Billing, Example, Operation

_MODES: dict[str, HairMode] = {"": "card", "card": "card", "volume": "volume"}
"""Mode for each value of the field. FastAPI treats an empty field as missing."""


async def run_hair_pipeline(
    request: Request, call: CallDep, world: WorldDep, settings: SettingsDep
) -> Response:
    """Get a 3D model of the hair in a photo, as a GLB file that fits the head."""
    async with request.form(max_part_size=settings.image_bytes + FORM_BYTES) as form:
        fields = await read_form(form, call, texts=("mode", "hair_color"))
        if isinstance(fields, list):
            return render_invalid(fields)
        credential = await authenticate(fields.token, call, world.credentials, HAIR)
        warn_of_dropped(form, HairFields.model_fields, call)
        mode, color = _mode(form), _color(form)
        photo = await read_photo(fields.upload, call, world, settings)
        file_name = fields.upload.filename
    try:
        model = await world.queue.run(RECONSTRUCT_HAIR, photo, HairOptions(ImageRules(FORMATS), mode, color))
    except FaceError as error:
        raise HAIR.for_cause(error).occur() from error
    response = await render_model(
        model, world, settings, credential, upload_name=file_name, ending="hair.glb"
    )
    await world.meter.bill("metahuman", RUN_HAIR_PIPELINE.name, credential)
    return response


def _mode(form: FormData) -> HairMode:
    try:
        return _MODES[str(form.get("mode", ""))]
    except KeyError as error:
        raise HAIR["WRONG_HAIR_MODE"].occur() from error


def _color(form: FormData) -> tuple[int, int, int] | None:
    text = str(form.get("hair_color", ""))
    try:
        return parse_color(text) if text else None
    except ValueError as error:
        raise HAIR["WRONG_HEX"].occur() from error


RUN_HAIR_PIPELINE = Operation(
    name="run_hair_pipeline",
    methods=("POST",),
    paths=("/hair_recon/run_pipeline",),
    endpoint=run_hair_pipeline,
    takes_picture=True,
    billing=Billing(),
    errors=HAIR,
    request=HairFields,
    request_types=(MULTIPART,),
    response_types=(GLB,),
    other_answers={**REFUSED_FORM, **MODEL_ANSWER},
    example=Example(form={"token": "{token}"}, files={"image_bytes": "ok-frontal"}),
)

api = Api("3D hair reconstruction", (RUN_HAIR_PIPELINE,))
