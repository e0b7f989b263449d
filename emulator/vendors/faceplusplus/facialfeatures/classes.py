"""The classes of a face and its parts, with all their limits.

The vendor does not publish the limits, so these are guesses. Every class occurs among 1500 random heads from
the emulator's model of photographed people, and most classes occur among 90 rendered people; the ledger has
the percentages. The limits also give the classes of a published response, with one exception: the vendor
calls a ratio of 0.36 for the lower face "long". The emulator's ratios for the lower face are larger, because
its hairline is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from emulator.face.proportions import Proportions

FaceType = Literal[
    "pointed_face", "oval_face", "diamond_face", "round_face", "long_face", "square_face", "normal_face"
]
JawType = Literal["flat_jaw", "sharp_jaw", "square_jaw"]
EyebrowType = Literal[
    "bushy_eyebrows",
    "eight_eyebrows",
    "raise_eyebrows",
    "straight_eyebrows",
    "round_eyebrows",
    "arch_eyebrows",
    "thin_eyebrows",
]
EyesType = Literal["round_eyes", "thin_eyes", "big_eyes", "small_eyes", "normal_eyes"]
NoseType = Literal["normal_nose", "thick_nose", "thin_nose"]
MouthType = Literal["thin_lip", "thick_lip", "smile_lip", "upset_lip", "normal_lip"]
Size = Literal["short", "normal", "long"]


@dataclass(frozen=True)
class Limits:
    """The range of normal values. Smaller values are short, and larger values are long."""

    least: float
    most: float

    def size(self, value: float) -> Size:
        """Return the class of a value."""
        return "short" if value < self.least else "long" if value > self.most else "normal"


RATIOS: Final[Mapping[str, Limits]] = {
    "faceup": Limits(0.28, 0.33),
    "facemid": Limits(0.30, 0.35),
    "facedown": Limits(0.35, 0.39),
    "eye_empty": Limits(0.78, 0.95),
    "eyein": Limits(1.20, 1.34),
}
"""Normal ranges of the three parts of the face's height, as fractions of the height, and of the widths next
to and between the eyes, as multiples of the width of the left eye. The ratios are rounded to two decimals
first."""

# Widths of the jaw and the temples, and the height of the face, as multiples of the width of the cheeks.
POINTED_JAW: Final = 0.77
WIDE_JAW: Final = 0.835
NARROW_TEMPLES: Final = 0.912
LONG_FACE: Final = 1.37
SHORT_FACE: Final = 1.20
OVAL_FACE: Final = 1.26

# Angle at the tip of the chin, in degrees.
SHARP_CHIN: Final = 141.0
SQUARE_CHIN: Final = 151.0

# Thickness of a brow as a fraction of its width, and angles in degrees.
THIN_BROW: Final = 0.128
BUSHY_BROW: Final = 0.148
FALLING_BROW: Final = -9.0
RAISED_BROW: Final = -4.0
STRAIGHT_BROW: Final = 12.2
ARCHED_BROW: Final = 14.2

# Width times height of an eye in square centimetres, and height divided by width.
SMALL_EYE: Final = 1.8
BIG_EYE: Final = 2.45
THIN_EYE: Final = 0.255
ROUND_EYE: Final = 0.33

# Width of the nose, as a multiple of the distance between the inner corners of the eyes.
THIN_NOSE: Final = 1.05
THICK_NOSE: Final = 1.22

# Thickness of a lip in centimetres, and the angle of the corners of the mouth in degrees.
THIN_LIP: Final = 0.45
THICK_LIP: Final = 1.0
SMILE: Final = 88.0
UPSET: Final = 99.0


def face_type(face: Proportions) -> FaceType:
    """Return the class of the shape of a face."""
    jaw, temples, height = (
        length / face.cheek_width for length in (face.jaw_width, face.temple_width, face.face_height)
    )
    if jaw < POINTED_JAW:
        return "pointed_face"
    if height > LONG_FACE:
        return "long_face"
    if jaw > WIDE_JAW:
        return "square_face"
    if height < SHORT_FACE:
        return "round_face"
    if temples < NARROW_TEMPLES:
        return "diamond_face"
    return "oval_face" if height > OVAL_FACE else "normal_face"


def jaw_type(face: Proportions) -> JawType:
    """Return the class of a chin. ``flat_jaw`` is a round chin."""
    if face.chin_angle < SHARP_CHIN:
        return "sharp_jaw"
    return "square_jaw" if face.chin_angle > SQUARE_CHIN else "flat_jaw"


def eyebrow_type(face: Proportions) -> EyebrowType:
    """Return the class of the eyebrows: first by their thickness, then by their slope and their arch."""
    thickness = face.brow_thickness / face.brow_width
    if thickness > BUSHY_BROW:
        return "bushy_eyebrows"
    if thickness < THIN_BROW:
        return "thin_eyebrows"
    if face.brow_slope < FALLING_BROW:
        return "eight_eyebrows"
    if face.brow_slope > RAISED_BROW:
        return "raise_eyebrows"
    if face.brow_rise < STRAIGHT_BROW:
        return "straight_eyebrows"
    return "arch_eyebrows" if face.brow_rise > ARCHED_BROW else "round_eyebrows"


def eyes_type(face: Proportions) -> EyesType:
    """Return the class of the eyes: first by their size, then by their shape."""
    width = (face.left_eye_width + face.right_eye_width) / 2.0
    area, shape = width * face.eye_height, face.eye_height / width
    if area > BIG_EYE:
        return "big_eyes"
    if area < SMALL_EYE:
        return "small_eyes"
    if shape > ROUND_EYE:
        return "round_eyes"
    return "thin_eyes" if shape < THIN_EYE else "normal_eyes"


def nose_type(face: Proportions) -> NoseType:
    """Return the class of a nose."""
    ratio = face.nose_width / face.inner_eye_distance
    return "thin_nose" if ratio < THIN_NOSE else "thick_nose" if ratio > THICK_NOSE else "normal_nose"


def mouth_type(face: Proportions) -> MouthType:
    """Return the class of a mouth: first by its corners, then by the thickness of the lips."""
    if face.mouth_corner_angle < SMILE:
        return "smile_lip"
    if face.mouth_corner_angle > UPSET:
        return "upset_lip"
    if face.lip_thickness < THIN_LIP:
        return "thin_lip"
    return "thick_lip" if face.lip_thickness > THICK_LIP else "normal_lip"
