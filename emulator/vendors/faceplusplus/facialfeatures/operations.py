"""The operation of Facial Features."""

from __future__ import annotations

from fastapi import Request, Response

from emulator.clock import Stopwatch
from emulator.face.errors import FaceError
from emulator.pipelines.options import MEASURE_FACE, ImageRules, MeasureOptions
from emulator.vendors.faceplusplus.auth import admit
from emulator.vendors.faceplusplus.detect.operations import SHORTEST_FACE, SHORTEST_FRACTION
from emulator.vendors.faceplusplus.facialfeatures.errors import ERRORS
from emulator.vendors.faceplusplus.facialfeatures.wire import (
    FacialFeaturesFields,
    FacialFeaturesResult,
    features,
)
from emulator.vendors.faceplusplus.fields import Fields, read_image
from emulator.vendors.faceplusplus.rectangle import face_rectangle
from emulator.vendors.faceplusplus.settings import SettingsDep
from emulator.vendors.faceplusplus.thousandlandmark.wire import dense_landmark
from emulator.vendors.faceplusplus.wire import head_pose, image_id, render_compact
from emulator.web.call import CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.operation import MULTIPART, URLENCODED, Billing, Example, Operation


async def facialfeatures(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> Response:
    """Measure and classify the parts of the largest face."""
    request.state.stopwatch = Stopwatch()
    async with Fields.reading(request, longest_field=settings.body_bytes) as fields:
        api_key = await admit(request, fields, call, world, FacialFeaturesFields.model_fields)
        image = fields.image()
        if image is None:
            raise ERRORS["MISSING_ARGUMENTS"].occur(param="image_url, image_file, image_base64")
        options = MeasureOptions(
            rules=ImageRules(
                frozenset({"jpeg", "png"}), settings.longest_side, settings.shortest_features_side
            ),
            shortest_face=SHORTEST_FACE,
            shortest_fraction=SHORTEST_FRACTION,
            straighten=await fields.flag("return_imagereset"),
        )
        photo = await read_image(image, call, world, settings)
        try:
            found = await world.queue.run(MEASURE_FACE, photo, options)
        except FaceError as error:
            raise ERRORS.for_cause(error).occur(param=image.name) from error
        # Failed calls are not billed. This is a guess.
        await world.meter.bill("faceplusplus", FACIALFEATURES.name, api_key)
    from emulator.vendors.faceplusplus.dense_landmarks import (  # noqa: PLC0415 - the server starts without numpy
        dense_landmarks,
    )

    result = FacialFeaturesResult(
        request_id=request.state.request_id,
        time_used=request.state.stopwatch.elapsed_ms(),
        image_id=await image_id(photo),
        face_rectangle=face_rectangle(found.landmarks, found.width, found.height),
        headpose=head_pose(found.pose),
        image_reset=found.straightened,
        denselandmark=dense_landmark(dense_landmarks(found.landmarks)),
        result=features(found.proportions),
    )
    # Keep the other members: they are null if they cannot be measured.
    absent = {"image_reset"} if found.straightened is None else None
    return render_compact(result.model_dump(exclude=absent))


FACIALFEATURES = Operation(
    name="facialfeatures",
    methods=("POST",),
    paths=("/facepp/v1/facialfeatures",),
    endpoint=facialfeatures,
    takes_picture=True,
    billing=Billing(),
    errors=ERRORS,
    request=FacialFeaturesFields,
    request_types=(MULTIPART, URLENCODED),
    response=FacialFeaturesResult,
    example=Example(
        form={"api_key": "{api_key}", "api_secret": "{api_secret}"},
        files={"image_file": "ok-frontal"},
    ),
)

api = Api("Facial Features", (FACIALFEATURES,))
