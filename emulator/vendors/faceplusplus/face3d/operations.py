"""The operation of 3D Face."""

from __future__ import annotations

from fastapi import Request, Response

from emulator.clock import Stopwatch
from emulator.face.errors import RefusedImage
from emulator.pipelines.options import RECONSTRUCT_WAVEFRONT, ImageRules, Wavefront, WavefrontOptions
from emulator.vendors.faceplusplus.auth import admit
from emulator.vendors.faceplusplus.face3d.errors import ERRORS
from emulator.vendors.faceplusplus.face3d.wire import (
    MILLIMETRES_PER_CM,
    MTL_NAME,
    TEXTURE_NAME,
    ThreeDFaceFields,
    ThreeDFaceResult,
    render_success,
)
from emulator.vendors.faceplusplus.fields import Fields, ImageField, read_image
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings, SettingsDep
from emulator.web.call import Call, CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.error_catalogue import VendorError
from emulator.world.operation import MULTIPART, URLENCODED, Billing, Example, Operation
from emulator.world.world import World


async def three_d_face(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> Response:
    """Reconstruct a head from one to three photos."""
    request.state.stopwatch = Stopwatch()
    async with Fields.reading(request, longest_field=settings.body_bytes) as fields:
        api_key = await admit(request, fields, call, world, ThreeDFaceFields.model_fields)
        if fields.image("_1") is None:
            raise ERRORS["MISSING_ARGUMENTS"].occur(param="image_url_1, image_file_1, image_base64_1")
        texture, mtl = await fields.flag("texture"), await fields.flag("mtl")
        images = [image for image in map(fields.image, ("_1", "_2", "_3")) if image is not None]
        head = await _reconstruct(images, call, world, settings)
        # Failed calls are not billed. This is a guess.
        await world.meter.bill("faceplusplus", THREE_D_FACE.name, api_key)
    return render_success(
        head,
        request_id=request.state.request_id,
        texture=texture,
        mtl=mtl,
        time_used_ms=request.state.stopwatch.elapsed_ms(),
        absent_members=settings.absent_members,
    )


async def _reconstruct(
    images: list[ImageField], call: Call, world: World, settings: FacePlusPlusSettings
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
            return await world.queue.run(RECONSTRUCT_WAVEFRONT, tuple(photos), options)
        except RefusedImage as error:
            entry = ERRORS.for_cause(error.reason)
            raise entry.occur(param=images[error.position].name) from error

    photos: list[bytes] = []
    for image in images:
        try:
            photos.append(await read_image(image, call, world, settings))
        except VendorError:
            # Images are checked in order: report the error of an earlier image first.
            if photos:
                await run(photos)
            raise
    return await run(photos)


THREE_D_FACE = Operation(
    name="3dface",
    methods=("POST",),
    paths=("/facepp/v1/3dface",),
    endpoint=three_d_face,
    takes_picture=True,
    billing=Billing(),
    errors=ERRORS,
    request=ThreeDFaceFields,
    request_types=(MULTIPART, URLENCODED),
    response=ThreeDFaceResult,
    example=Example(
        form={"api_key": "{api_key}", "api_secret": "{api_secret}", "texture": "1", "mtl": "1"},
        files={"image_file_1": "ok-frontal"},
    ),
)

api = Api("3D Face", (THREE_D_FACE,))
