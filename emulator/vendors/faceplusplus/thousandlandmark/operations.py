"""The operation of Dense Facial Landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request, Response

from emulator.clock import Stopwatch
from emulator.face.errors import FaceError
from emulator.pipelines.options import LOCATE_FACES, ImageRules, LocateOptions
from emulator.vendors.faceplusplus.auth import admit
from emulator.vendors.faceplusplus.face_tokens import find_face
from emulator.vendors.faceplusplus.fields import Fields, ImageField, read_image
from emulator.vendors.faceplusplus.rectangle import face_rectangle
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings, SettingsDep
from emulator.vendors.faceplusplus.thousandlandmark.errors import ERRORS
from emulator.vendors.faceplusplus.thousandlandmark.wire import (
    ALL,
    MOUTH,
    MOUTH_IN_REQUEST,
    DenseFace,
    DenseLandmark,
    ThousandLandmarkFields,
    ThousandLandmarkResult,
    dense_landmark,
)
from emulator.vendors.faceplusplus.wire import render_compact
from emulator.web.call import Call, CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.operation import MULTIPART, URLENCODED, Billing, Example, Operation
from emulator.world.world import World

if TYPE_CHECKING:
    from emulator.face.types import Points3

SHORTEST_FRACTION = 1 / 24
"""Shortest side of a face that is found, as a fraction of the shorter side of the photo."""

_GROUPS = tuple(DenseLandmark.model_fields)
_IN_REQUEST = {MOUTH_IN_REQUEST if group == MOUTH else group: group for group in _GROUPS}


@dataclass(frozen=True, eq=False)
class _Found:
    """A face, and the size of its photo in pixels."""

    landmarks: Points3
    width: int
    height: int


async def thousandlandmark(
    request: Request, call: CallDep, world: WorldDep, settings: SettingsDep
) -> Response:
    """Return about a thousand landmarks of the largest face."""
    request.state.stopwatch = Stopwatch()
    async with Fields.reading(request, longest_field=settings.body_bytes) as fields:
        api_key = await admit(request, fields, call, world, ThousandLandmarkFields.model_fields)
        token, image = fields.text("face_token"), fields.image()
        groups = _groups(fields)
        found: _Found | None
        if token is not None:
            if image is not None:
                call.warn("field-dropped", f"{image.name} is ignored because face_token was sent")
            found = await _by_token(token, api_key, world, settings)
        elif image is not None:
            found = await _in_photo(image, call, world, settings)
        else:
            raise ERRORS["MISSING_ARGUMENTS"].occur(param="face_token, image_url, image_file, image_base64")
        await world.meter.bill("faceplusplus", THOUSANDLANDMARK.name, api_key)
    result = ThousandLandmarkResult(
        request_id=request.state.request_id,
        time_used=request.state.stopwatch.elapsed_ms(),
        face=DenseFace() if found is None else _face(found, groups),
    )
    return render_compact(result.model_dump(exclude_none=True))


def _groups(fields: Fields) -> tuple[str, ...]:
    """Return the groups that a request names. The case of letters does not matter."""
    text = fields.text("return_landmark")
    if text is None:
        raise ERRORS["MISSING_ARGUMENTS"].occur(param="return_landmark")
    names = {name.strip().lower() for name in text.split(",")}
    if not names <= {ALL, *_IN_REQUEST}:
        raise ERRORS["BAD_ARGUMENTS"].occur(param="return_landmark")
    return _GROUPS if ALL in names else tuple(_IN_REQUEST[name] for name in names)


async def _by_token(token: str, api_key: str, world: World, settings: FacePlusPlusSettings) -> _Found:
    stored = await find_face(world, token, api_key, settings)
    if stored is None:
        raise ERRORS["INVALID_FACE_TOKEN"].occur(face_token=token)
    return _Found(stored.landmarks, stored.width, stored.height)


async def _in_photo(
    image: ImageField, call: Call, world: World, settings: FacePlusPlusSettings
) -> _Found | None:
    """Return the largest face in a photo, or None if no face is large enough."""
    photo = await read_image(image, call, world, settings)
    options = LocateOptions(
        rules=ImageRules(frozenset({"jpeg", "png"}), settings.longest_side, settings.shortest_dense_side),
        shortest_face=settings.shortest_dense_face,
        shortest_fraction=SHORTEST_FRACTION,
    )
    try:
        found = await world.queue.run(LOCATE_FACES, photo, options)
    except FaceError as error:
        raise ERRORS.for_cause(error).occur(param=image.name) from error
    return _Found(found.faces[0].landmarks, found.width, found.height) if found.faces else None


def _face(found: _Found, groups: tuple[str, ...]) -> DenseFace:
    from emulator.vendors.faceplusplus.dense_landmarks import (  # noqa: PLC0415 - the server starts without numpy
        dense_landmarks,
    )

    return DenseFace(
        face_rectangle=face_rectangle(found.landmarks, found.width, found.height),
        landmark=dense_landmark(dense_landmarks(found.landmarks, groups)),
    )


THOUSANDLANDMARK = Operation(
    name="thousandlandmark",
    methods=("POST",),
    paths=("/facepp/v1/face/thousandlandmark",),
    endpoint=thousandlandmark,
    takes_picture=True,
    billing=Billing(),
    errors=ERRORS,
    request=ThousandLandmarkFields,
    request_types=(MULTIPART, URLENCODED),
    response=ThousandLandmarkResult,
    example=Example(
        form={"api_key": "{api_key}", "api_secret": "{api_secret}", "return_landmark": "left_eye,mouse"},
        files={"image_file": "ok-frontal"},
    ),
)

api = Api("Dense Facial Landmarks", (THOUSANDLANDMARK,))
