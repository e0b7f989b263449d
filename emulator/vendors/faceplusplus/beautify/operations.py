"""The operations of Beautify, one for each version."""

from __future__ import annotations

from fastapi import Request, Response

from emulator.clock import Stopwatch
from emulator.face.beauty_parameters import BeautyParameters
from emulator.face.color_filter import ColorFilter
from emulator.face.errors import ImageError
from emulator.pipelines.options import BEAUTIFY_PICTURE, BeautifyOptions, ImageRules
from emulator.vendors.faceplusplus.auth import admit
from emulator.vendors.faceplusplus.beautify.errors import ERRORS
from emulator.vendors.faceplusplus.beautify.filters import FILTERS
from emulator.vendors.faceplusplus.beautify.wire import (
    HIGHEST,
    BeautifyResult,
    BeautifyV1Fields,
    BeautifyV2Fields,
    render_success,
)
from emulator.vendors.faceplusplus.fields import Fields, read_image
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings, SettingsDep
from emulator.web.call import Call, CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.operation import MULTIPART, URLENCODED, Billing, Example, Operation
from emulator.world.world import World

SHORTEST_SIDE = 48
"""Shortest allowed side of a photo, in pixels."""

PARAMETERS = {
    "whitening": "whitening",
    "smoothing": "smoothing",
    "thinface": "thin_face",
    "shrink_face": "shrink_face",
    "enlarge_eye": "enlarge_eyes",
    "remove_eyebrow": "remove_eyebrows",
}
"""The parameter of the face core for each of the vendor's fields."""


async def beautify_v1(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> Response:
    """Whiten and smooth the skin in a photo."""
    return await _answer(request, call, world, settings, BEAUTIFY_V1, BeautifyV1Fields)


async def beautify_v2(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> Response:
    """Retouch skin, eyes, eyebrows and the shape of faces in a photo, and apply a colour filter."""
    return await _answer(request, call, world, settings, BEAUTIFY_V2, BeautifyV2Fields)


async def _answer(
    request: Request,
    call: Call,
    world: World,
    settings: FacePlusPlusSettings,
    operation: Operation,
    model: type[BeautifyV1Fields | BeautifyV2Fields],
) -> Response:
    """Answer a request. ``model`` has the fields of the operation, with their defaults."""
    request.state.stopwatch = Stopwatch()
    known = model.model_fields
    async with Fields.reading(request, longest_field=settings.beautify_body_bytes) as fields:
        api_key = await admit(request, fields, call, world, known)
        image = fields.image()
        if image is None:
            raise ERRORS["MISSING_ARGUMENTS"].occur(param="image_url, image_file, image_base64")
        strengths = {
            parameter: await fields.integer(name, 0, HIGHEST, default=known[name].default) / HIGHEST
            for name, parameter in PARAMETERS.items()
            if name in known
        }
        options = BeautifyOptions(
            ImageRules(frozenset({"jpeg", "png"}), settings.longest_side, SHORTEST_SIDE),
            BeautyParameters(**strengths),
            _color_filter(fields) if "filter_type" in known else ColorFilter(),
        )
        photo = await read_image(image, call, world, settings)
        try:
            picture = await world.queue.run(BEAUTIFY_PICTURE, photo, options)
        except ImageError as error:
            raise ERRORS.for_cause(error).occur(param=image.name) from error
        # Failed calls are not billed. This is a guess.
        await world.meter.bill("faceplusplus", operation.name, api_key)
    return render_success(
        picture, request_id=request.state.request_id, time_used_ms=request.state.stopwatch.elapsed_ms()
    )


def _color_filter(fields: Fields) -> ColorFilter:
    """Return the recipe of the filter that a request names."""
    name = fields.text("filter_type")
    if name is None:
        return ColorFilter()
    if name not in FILTERS:
        raise ERRORS["BAD_ARGUMENTS"].occur(param="filter_type")
    return FILTERS[name]


_EXAMPLE_FORM = {"api_key": "{api_key}", "api_secret": "{api_secret}", "whitening": "80", "smoothing": "60"}

BEAUTIFY_V1 = Operation(
    name="beautify_v1",
    methods=("POST",),
    paths=("/facepp/v1/beautify",),
    endpoint=beautify_v1,
    takes_picture=True,
    billing=Billing(),
    errors=ERRORS,
    request=BeautifyV1Fields,
    request_types=(MULTIPART, URLENCODED),
    response=BeautifyResult,
    longest_body=lambda settings: settings.beautify_body_bytes,
    example=Example(form=_EXAMPLE_FORM, files={"image_file": "ok-frontal"}),
)

BEAUTIFY_V2 = Operation(
    name="beautify_v2",
    methods=("POST",),
    paths=("/facepp/v2/beautify",),
    endpoint=beautify_v2,
    takes_picture=True,
    billing=Billing(),
    errors=ERRORS,
    request=BeautifyV2Fields,
    request_types=(MULTIPART, URLENCODED),
    response=BeautifyResult,
    longest_body=lambda settings: settings.beautify_body_bytes,
    example=Example(
        form={**_EXAMPLE_FORM, "thinface": "30", "filter_type": "sunny"}, files={"image_file": "ok-frontal"}
    ),
)

api = Api("Beautify", (BEAUTIFY_V1, BEAUTIFY_V2))
