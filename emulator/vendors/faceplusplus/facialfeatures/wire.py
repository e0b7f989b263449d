"""Request and response models of Facial Features, and the conversion of measurements to them."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from emulator.face.proportions import Proportions
from emulator.vendors.faceplusplus.facialfeatures.classes import (
    RATIOS,
    EyebrowType,
    EyesType,
    FaceType,
    JawType,
    MouthType,
    NoseType,
    eyebrow_type,
    eyes_type,
    face_type,
    jaw_type,
    mouth_type,
    nose_type,
)
from emulator.vendors.faceplusplus.thousandlandmark.wire import DenseLandmark
from emulator.vendors.faceplusplus.wire import (
    Blob,
    Body,
    Flag,
    HeadPose,
    ImageId,
    Milliseconds,
    PhotoFields,
    Rectangle,
    RequestId,
)

MILLIMETRES_PER_CM = 10.0
"""Lengths in a response are in millimetres. Their scale comes from the fitted head."""

Length = Annotated[float, Field(ge=0)] | None
"""Millimetres with two decimals; null if the length is 0."""
Ratio = Annotated[float, Field(ge=0)] | None
Angle = Annotated[float, Field(ge=0, le=180)]
Slope = Annotated[float, Field(ge=-90, le=90)]


class FacialFeaturesFields(PhotoFields):
    """The known fields of a request."""

    return_imagereset: Flag = Field(
        default=0, description="`1` to get the straightened photo in `image_reset`, `0` to omit it."
    )


class Forehead(Body):
    """The part of the face from the hairline to the eyebrows."""

    faceup_length: Length = Field(description="Height in millimetres.")
    faceup_ratio: Ratio = Field(description="Height divided by the height of the face.")
    faceup_result: Literal["faceup_normal", "faceup_long", "faceup_short"] | None = Field(
        description="Class of the ratio."
    )


class Midface(Body):
    """The part of the face from the eyebrows to the base of the nose."""

    facemid_length: Length = Field(description="Height in millimetres.")
    facemid_ratio: Ratio = Field(description="Height divided by the height of the face.")
    facemid_result: Literal["facemid_normal", "facemid_long", "facemid_short"] | None = Field(
        description="Class of the ratio."
    )


class LowerFace(Body):
    """The part of the face from the base of the nose to the chin."""

    facedown_length: Length = Field(description="Height in millimetres.")
    facedown_ratio: Ratio = Field(description="Height divided by the height of the face.")
    facedown_result: Literal["facedown_normal", "facedown_long", "facedown_short"] | None = Field(
        description="Class of the ratio."
    )


class ThreeParts(Body):
    """The height of the face in three parts."""

    parts_ratio: str | None = Field(description="The ratios of the three parts, such as `0.32:0.32:0.36`.")
    one_part: Forehead = Field(description="From the hairline to the eyebrows.")
    two_part: Midface = Field(description="From the eyebrows to the base of the nose.")
    three_part: LowerFace = Field(description="From the base of the nose to the chin.")


class RightMargin(Body):
    """The width between the outline and the eye on the right side of the photo."""

    righteye_empty_length: Length = Field(description="Width in millimetres.")
    righteye_empty_ratio: Ratio = Field(description="Width divided by `lefteye`.")
    righteye_empty_result: (
        Literal["righteye_empty_normal", "righteye_empty_long", "righteye_empty_short"] | None
    ) = Field(description="Class of the ratio.")


class BetweenEyes(Body):
    """The width between the inner corners of the eyes."""

    eyein_length: Length = Field(description="Width in millimetres.")
    eyein_ratio: Ratio = Field(description="Width divided by `lefteye`.")
    eyein_result: Literal["eyein_normal", "eyein_long", "eyein_short"] | None = Field(
        description="Class of the ratio."
    )


class LeftMargin(Body):
    """The width between the outline and the eye on the left side of the photo."""

    lefteye_empty_length: Length = Field(description="Width in millimetres.")
    lefteye_empty_ratio: Ratio = Field(description="Width divided by `lefteye`.")
    lefteye_empty_result: (
        Literal["lefteye_empty_normal", "lefteye_empty_long", "lefteye_empty_short"] | None
    ) = Field(description="Class of the ratio.")


class FiveEyes(Body):
    """The width of the face at the eyes, in five parts. Left and right are the photo's sides (a guess)."""

    eyes_ratio: str | None = Field(
        description="The widths of the five parts divided by `lefteye`, such as `0.78:1.0:1.35:1:0.96`."
    )
    one_eye: RightMargin = Field(description="From the outer corner of the right eye to the outline.")
    righteye: Length = Field(description="Width of the right eye in millimetres.")
    three_eye: BetweenEyes = Field(description="Between the inner corners of the eyes.")
    lefteye: Length = Field(description="Width of the left eye in millimetres.")
    five_eye: LeftMargin = Field(description="From the outer corner of the left eye to the outline.")


class FaceShape(Body):
    """The shape of the face."""

    tempus_length: Length = Field(description="Width between the temples (A), in millimetres.")
    zygoma_length: Length = Field(description="Width of the cheeks (B), in millimetres.")
    face_length: Length = Field(description="Height from the hairline to the chin (C), in millimetres.")
    mandible_length: Length = Field(description="Width between the corners of the jaw (D), in millimetres.")
    E: Angle = Field(description="Angle of the corner of the jaw on the right side of the photo, in degrees.")
    ABD_ratio: str | None = Field(description="A, B and D divided by B, such as `1.02:1:0.89`.")
    face_type: FaceType | None = Field(description="Class of the shape.")


class JawShape(Body):
    """The chin."""

    jaw_width: Length = Field(description="Width just above the tip of the chin, in millimetres.")
    jaw_length: Length = Field(description="Height from the lower lip to the tip, in millimetres.")
    jaw_angle: Angle = Field(description="Angle at the tip, in degrees.")
    jaw_type: JawType = Field(description="Class of the chin.")


class EyebrowShape(Body):
    """The eyebrows. Each value is the mean of both."""

    brow_width: Length = Field(description="Width from end to end, in millimetres.")
    brow_height: Length = Field(description="Height from the lowest to the highest point, in millimetres.")
    brow_uptrend_angle: Slope = Field(
        description="Angle from the inner end up to the highest point, in degrees."
    )
    brow_camber_angle: Slope = Field(
        description="Angle from the inner end to the outer end, in degrees; positive if it goes up."
    )
    brow_thick: Length = Field(description="Thickness in the middle, in millimetres.")
    eyebrow_type: EyebrowType | None = Field(description="Class of the eyebrows.")


class EyesShape(Body):
    """The eyes. Each value is the mean of both."""

    eye_width: Length = Field(description="Width from corner to corner, in millimetres.")
    eye_height: Length = Field(description="Height between the lids in the middle, in millimetres.")
    angulus_oculi_medialis: Angle = Field(description="Angle at the inner corner, in degrees.")
    eyes_type: EyesType | None = Field(description="Class of the eyes.")


class NoseShape(Body):
    """The nose."""

    nose_width: Length = Field(description="Width between the wings, in millimetres.")
    nose_type: NoseType | None = Field(description="Class of the nose.")


class MouthShape(Body):
    """The mouth."""

    mouth_height: Length = Field(description="Height of both lips, in millimetres.")
    mouth_width: Length = Field(description="Width from corner to corner, in millimetres.")
    lip_thickness: Length = Field(description="Mean thickness of both lips, in millimetres.")
    angulus_oris: Angle = Field(
        description="Angle between the vertical and the line from the middle of the mouth to a corner, in "
        "degrees. It is "
        "less than 90 if the corners are raised."
    )
    mouth_type: MouthType = Field(description="Class of the mouth.")


class Features(Body):
    """The measurements of a face."""

    three_parts: ThreeParts = Field(description="Height of the face, in three parts.")
    five_eyes: FiveEyes = Field(
        description="Width of the face at the eyes, in five parts. Left and right are the sides of the photo."
    )
    golden_triangle: Angle = Field(
        description="Angle between the lines from the base of the nose to the pupils, in degrees."
    )
    face: FaceShape = Field(description="Shape of the face.")
    jaw: JawShape = Field(description="Shape of the chin.")
    eyebrow: EyebrowShape = Field(description="Shape of the eyebrows.")
    eyes: EyesShape = Field(description="Shape of the eyes.")
    nose: NoseShape = Field(description="Width of the nose.")
    mouth: MouthShape = Field(description="Shape of the mouth.")


class FacialFeaturesResult(Body):
    """A successful response."""

    request_id: RequestId = Field(description="Id of the request: Unix time in seconds, a comma and a UUID.")
    time_used: Milliseconds = Field(description="Time that the request took, in milliseconds.")
    image_id: ImageId = Field(description="Id of the photo. The same photo has the same id.")
    face_rectangle: Rectangle = Field(description="Box of the largest face.")
    headpose: HeadPose = Field(description="Orientation of the head.")
    image_reset: Blob | None = Field(
        default=None,
        description="The photo, rotated so that the head is upright: a JPEG in base64, if "
        "`return_imagereset` is 1.",
    )
    denselandmark: DenseLandmark = Field(
        description="All dense landmarks, as `thousandlandmark` returns them. Left and right are the sides "
        "of the photo."
    )
    result: Features = Field(description="The measurements and classes.")


def features(face: Proportions) -> Features:
    """Return the model of the measurements of a face."""
    height, cheeks = face.face_height, face.cheek_width
    # The sides are those of the photo, so the right eye is the person's left eye.
    right_eye, left_eye = face.left_eye_width, face.right_eye_width
    right_margin, left_margin = face.left_eye_margin, face.right_eye_margin
    parts = {"faceup": face.forehead, "facemid": face.midface, "facedown": face.lower_face}
    one_part, two_part, three_part = (_part(name, part, height, name) for name, part in parts.items())
    margins = {"righteye_empty": right_margin, "lefteye_empty": left_margin}
    one_eye, five_eye = (_part(name, part, left_eye, "eye_empty") for name, part in margins.items())
    three_eye = _part("eyein", face.inner_eye_distance, left_eye, "eyein")
    brow_width = _length(face.brow_width)
    eye_width = _length((right_eye + left_eye) / 2.0)
    return Features.model_validate(
        {
            "three_parts": {
                "parts_ratio": _joined(*(_ratio(part, height) for part in parts.values())),
                "one_part": one_part,
                "two_part": two_part,
                "three_part": three_part,
            },
            "five_eyes": {
                "eyes_ratio": _joined(
                    _ratio(right_margin, left_eye),
                    _ratio(right_eye, left_eye),
                    _ratio(face.inner_eye_distance, left_eye),
                    1,
                    _ratio(left_margin, left_eye),
                ),
                "one_eye": one_eye,
                "righteye": _length(right_eye),
                "three_eye": three_eye,
                "lefteye": _length(left_eye),
                "five_eye": five_eye,
            },
            "golden_triangle": _degrees(face.pupils_angle),
            "face": {
                "tempus_length": _length(face.temple_width),
                "zygoma_length": _length(cheeks),
                "face_length": _length(height),
                "mandible_length": _length(face.jaw_width),
                "E": _degrees(face.left_jaw_angle),
                "ABD_ratio": _joined(_ratio(face.temple_width, cheeks), 1, _ratio(face.jaw_width, cheeks)),
                "face_type": face_type(face) if _length(cheeks) else None,
            },
            "jaw": {
                "jaw_width": _length(face.chin_width),
                "jaw_length": _length(face.chin_height),
                "jaw_angle": _degrees(face.chin_angle),
                "jaw_type": jaw_type(face),
            },
            "eyebrow": {
                "brow_width": brow_width,
                "brow_height": _length(face.brow_height),
                "brow_uptrend_angle": _degrees(face.brow_rise),
                "brow_camber_angle": _degrees(face.brow_slope),
                "brow_thick": _length(face.brow_thickness),
                "eyebrow_type": eyebrow_type(face) if brow_width else None,
            },
            "eyes": {
                "eye_width": eye_width,
                "eye_height": _length(face.eye_height),
                "angulus_oculi_medialis": _degrees(face.inner_eye_angle),
                "eyes_type": eyes_type(face) if eye_width else None,
            },
            "nose": {
                "nose_width": _length(face.nose_width),
                "nose_type": nose_type(face) if _length(face.inner_eye_distance) else None,
            },
            "mouth": {
                "mouth_height": _length(face.mouth_height),
                "mouth_width": _length(face.mouth_width),
                "lip_thickness": _length(face.lip_thickness),
                "angulus_oris": _degrees(face.mouth_corner_angle),
                "mouth_type": mouth_type(face),
            },
        }
    )


def _length(length_cm: float) -> float | None:
    """Return a length in millimetres with two decimals, or None if it is 0 or cannot be measured."""
    if not math.isfinite(length_cm):
        return None
    return round(length_cm * MILLIMETRES_PER_CM, 2) or None if length_cm > 0 else None


def _ratio(length: float, unit: float) -> float | None:
    """Return a ratio of two lengths with two decimals, or None if one of them cannot be measured."""
    if _length(length) is None or _length(unit) is None:
        return None
    return round(length / unit, 2)


def _degrees(angle: float) -> float:
    return round(angle, 2)


def _joined(*ratios: float | None) -> str | None:
    """Return ratios with colons between them, or None if one of them is missing."""
    return None if None in ratios else ":".join(map(str, ratios))


def _part(name: str, length: float, unit: float, limits: str) -> dict[str, Any]:
    """Return the three members of a part of the face: its length, its ratio to ``unit``, and its class."""
    ratio = _ratio(length, unit)
    return {
        f"{name}_length": _length(length),
        f"{name}_ratio": ratio,
        f"{name}_result": None if ratio is None else f"{name}_{RATIOS[limits].size(ratio)}",
    }
