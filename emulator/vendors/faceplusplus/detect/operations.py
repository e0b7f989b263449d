"""The operation of Detect."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request, Response

from emulator.clock import Stopwatch
from emulator.face.box import Box
from emulator.face.errors import FaceError
from emulator.pipelines.options import LOCATE_FACES, ImageRules, LocatedFace, LocatedFaces, LocateOptions
from emulator.vendors.faceplusplus.auth import admit
from emulator.vendors.faceplusplus.detect.attributes import ATTRIBUTES, IGNORED, Described
from emulator.vendors.faceplusplus.detect.errors import ERRORS
from emulator.vendors.faceplusplus.detect.wire import Attributes, DetectFields, DetectResult, Face
from emulator.vendors.faceplusplus.face_tokens import keep_face
from emulator.vendors.faceplusplus.fields import Fields, read_image
from emulator.vendors.faceplusplus.rectangle import face_rectangle
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings, SettingsDep
from emulator.vendors.faceplusplus.wire import Point, Rectangle, image_id, render_compact
from emulator.web.call import CallDep, WorldDep
from emulator.web.digests import digest_of
from emulator.web.vendor import Api
from emulator.world.operation import MULTIPART, URLENCODED, Billing, Example, Operation

DESCRIBED = 5
"""Number of faces with landmarks and attributes in a response if ``calculate_all`` is not sent."""

SHORTEST_FACE, SHORTEST_FRACTION = 48.0, 1 / 48
"""Shortest side of a face, in pixels, and as a fraction of the shorter side of the photo."""


async def detect(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> Response:
    """Find the faces in a photo."""
    request.state.stopwatch = Stopwatch()
    async with Fields.reading(request, longest_field=settings.body_bytes) as fields:
        api_key = await admit(request, fields, call, world, DetectFields.model_fields)
        image = fields.image()
        if image is None:
            raise ERRORS["MISSING_ARGUMENTS"].occur(param="image_url, image_file, image_base64")
        wanted = await _wanted(fields, settings)
        photo = await read_image(image, call, world, settings)
        try:
            found = await world.queue.run(LOCATE_FACES, photo, _options(wanted, settings))
        except FaceError as error:
            raise ERRORS.for_cause(error).occur(param=image.name) from error
        async with world.creations.of(api_key):
            tokens = [
                await keep_face(world, api_key, face, found.width, found.height) for face in found.faces
            ]
        await world.meter.bill("faceplusplus", DETECT.name, api_key)
    digest = await digest_of(photo, hashlib.sha256)
    result = DetectResult(
        request_id=request.state.request_id,
        time_used=request.state.stopwatch.elapsed_ms(),
        faces=_faces(found, tokens, wanted, digest.digest()),
        image_id=await image_id(photo),
        face_num=len(found.faces),
    )
    return render_compact(result.model_dump(exclude_none=True))


@dataclass(frozen=True)
class _Wanted:
    """The options of a request.

    Attributes
    ----------
    landmarks : int
        0 for none, 1 for 83, 2 for 106.
    attributes : tuple of str
        Names of attributes, in the order of a response.
    count : int or None
        Number of faces with landmarks and attributes; None for all.
    region : Rectangle or None
        The part of the photo to search.
    beauty : (int, int)
        Least and largest score for beauty.
    """

    landmarks: int
    attributes: tuple[str, ...]
    count: int | None
    region: Rectangle | None
    beauty: tuple[int, int]


async def _wanted(fields: Fields, settings: FacePlusPlusSettings) -> _Wanted:
    landmarks = await fields.integer("return_landmark", 0, 2, default=0)
    attributes = _attributes(fields)
    everybody = await fields.flag("calculate_all")
    region = _region(fields)
    least = await fields.integer("beauty_score_min", 0, 100, default=0)
    largest = await fields.integer("beauty_score_max", 0, 100, default=100)
    if largest < least:
        raise ERRORS["BAD_ARGUMENTS"].occur(param="beauty_score_max")
    if settings.key_kind == "free" and everybody:
        raise ERRORS["INSUFFICIENT_PERMISSION"].occur(param="calculate_all")
    if settings.key_kind == "free" and region is not None:
        raise ERRORS["INSUFFICIENT_PERMISSION"].occur(param="face_rectangle")
    return _Wanted(landmarks, attributes, None if everybody else DESCRIBED, region, (least, largest))


def _attributes(fields: Fields) -> tuple[str, ...]:
    names = {name.strip() for name in (fields.text("return_attributes") or "none").split(",")}
    if not names <= {*ATTRIBUTES, *IGNORED, "none"}:
        raise ERRORS["BAD_ARGUMENTS"].occur(param="return_attributes")
    return tuple(name for name in ATTRIBUTES if name in names)


def _region(fields: Fields) -> Rectangle | None:
    text = fields.text("face_rectangle")
    if text is None:
        return None
    numbers = re.fullmatch(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*", text, re.ASCII)
    top, left, width, height = map(int, numbers.groups()) if numbers is not None else (0, 0, 0, 0)
    if width < 1 or height < 1:
        raise ERRORS["BAD_ARGUMENTS"].occur(param="face_rectangle")
    return Rectangle(top=top, left=left, width=width, height=height)


def _options(wanted: _Wanted, settings: FacePlusPlusSettings) -> LocateOptions:
    region = wanted.region
    return LocateOptions(
        rules=ImageRules(frozenset({"jpeg", "png"}), settings.longest_side, settings.shortest_detect_side),
        shortest_face=SHORTEST_FACE,
        shortest_fraction=SHORTEST_FRACTION,
        described=wanted.count if wanted.attributes else 0,
        region=None if region is None else Box(region.left, region.top, region.width, region.height),
    )


def _faces(found: LocatedFaces, tokens: Sequence[str], wanted: _Wanted, digest: bytes) -> list[Face]:
    faces = []
    for index, (face, token) in enumerate(zip(found.faces, tokens, strict=True)):
        rectangle = face_rectangle(face.landmarks, found.width, found.height)
        is_described = wanted.count is None or index < wanted.count
        faces.append(
            Face(
                face_token=token,
                face_rectangle=wanted.region or rectangle,
                landmark=_landmarks(face, wanted.landmarks) if is_described else None,
                attributes=_described(face, rectangle, wanted, digest + index.to_bytes(2, "big")),
            )
        )
    return faces


def _landmarks(face: LocatedFace, kind: int) -> dict[str, Point] | None:
    if not kind:
        return None
    from emulator.vendors.faceplusplus.landmarks import (  # noqa: PLC0415 - the server starts without numpy
        landmarks_83,
        landmarks_106,
    )

    places = (landmarks_83 if kind == 1 else landmarks_106)(face.landmarks)
    return {name: Point(x=x, y=y) for name, (x, y) in places.items()}


def _described(face: LocatedFace, rectangle: Rectangle, wanted: _Wanted, seed: bytes) -> Attributes | None:
    if face.state is None or face.attributes is None:
        return None
    described = Described(face.state, face.attributes, rectangle.width, seed, wanted.beauty)
    members = {member: value(described) for member, value in (ATTRIBUTES[name] for name in wanted.attributes)}
    return Attributes.model_validate(members)


DETECT = Operation(
    name="detect",
    methods=("POST",),
    paths=("/facepp/v3/detect",),
    endpoint=detect,
    takes_picture=True,
    billing=Billing(),
    errors=ERRORS,
    request=DetectFields,
    request_types=(MULTIPART, URLENCODED),
    response=DetectResult,
    example=Example(
        form={
            "api_key": "{api_key}",
            "api_secret": "{api_secret}",
            "return_landmark": "1",
            "return_attributes": ",".join(ATTRIBUTES),
        },
        files={"image_file": "ok-frontal"},
    ),
)

api = Api("Detect", (DETECT,))
