"""The attributes of a face, in the vendor's format.

Gender, smile, pose, blur, quality, eyes, mouth and gaze are estimated from the picture. Age, beauty and the
condition of the skin are made up: a hash of the photo seeds them, so that the same photo gets the same
values. The emotion is made up from the smile and the mouth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from emulator.vendors.faceplusplus.detect import wire
from emulator.vendors.faceplusplus.wire import Body, HeadPose, head_pose, score, shares

if TYPE_CHECKING:
    import numpy as np

    from emulator.face.appearance import Attributes, EyeState, FaceState

# The vendor's thresholds.
_SMILE_THRESHOLD, _QUALITY_THRESHOLD, _BLUR_THRESHOLD = (
    Decimal("50.000"),
    Decimal("70.100"),
    Decimal("50.000"),
)

# The quality of a face falls with its size below this width in pixels. It is 0 at these angles.
_GOOD_FACE = 100.0
_WORST_YAW_DEG, _WORST_PITCH_DEG = 75.0, 60.0

# Probability of a state, such as a mask, that the emulator detects without a degree of certainty.
_SURE = 0.97


@dataclass(frozen=True)
class Described:
    """The data from which the attributes of a face are computed.

    Attributes
    ----------
    state : FaceState
    attributes : Attributes
    width : float
        Width of the face in pixels.
    seed : bytes
        SHA-256 of the photo, followed by the index of the face. It seeds the made-up values.
    beauty : (int, int)
        Least and largest score for beauty.
    """

    state: FaceState
    attributes: Attributes
    width: float
    seed: bytes
    beauty: tuple[int, int]

    def drawn(self, name: str) -> np.random.Generator:
        """Return the random generator for the made-up values of the attribute ``name``."""
        import numpy as np  # noqa: PLC0415 - the server starts without numpy

        return np.random.default_rng(list(hashlib.sha256(self.seed + name.encode()).digest()))


def _gender(face: Described) -> wire.Gender:
    return wire.Gender(value="Female" if face.attributes.gender == "female" else "Male")


def _age(face: Described) -> wire.Age:
    return wire.Age(value=int(face.drawn("age").integers(18, 61)))


def _smile(face: Described) -> wire.Scored:
    return wire.Scored(value=score(100 * face.state.smile), threshold=_SMILE_THRESHOLD)


def _head_pose(face: Described) -> HeadPose:
    return head_pose(face.state.pose)


def _face_quality(face: Described) -> wire.Scored:
    pose = face.state.pose
    turn = min((pose.yaw / _WORST_YAW_DEG) ** 2 + (pose.pitch / _WORST_PITCH_DEG) ** 2, 1.0)
    size = min(face.width / _GOOD_FACE, 1.0)
    seen = 0.5 if face.state.covered_mouth or face.state.dark_lenses else 1.0
    value = 100 * (1 - turn) * (1 - face.state.blur) * size * seen
    return wire.Scored(value=score(value), threshold=_QUALITY_THRESHOLD)


def _blur(face: Described) -> wire.Blur:
    value = wire.Scored(value=score(100 * face.state.blur), threshold=_BLUR_THRESHOLD)
    return wire.Blur(blurness=value, motionblur=value, gaussianblur=value)


def _eyes(face: Described) -> wire.Eyes:
    # The vendor's left is the left of the picture, which is the person's right.
    return wire.Eyes(
        left_eye_status=_eye(face, face.state.right_eye), right_eye_status=_eye(face, face.state.left_eye)
    )


def _eye(face: Described, eye: EyeState) -> wire.Eye:
    dark = _SURE if face.attributes.glasses and face.state.dark_lenses else 0.0
    glasses = (1 - dark) * (_SURE if face.attributes.glasses else 1 - _SURE)
    bare = 1 - dark - glasses
    weights = {
        "occlusion": 0.0,
        "no_glass_eye_open": bare * eye.opening,
        "normal_glass_eye_close": glasses * (1 - eye.opening),
        "normal_glass_eye_open": glasses * eye.opening,
        "dark_glasses": dark,
        "no_glass_eye_close": bare * (1 - eye.opening),
    }
    return wire.Eye(**shares(weights))


def _emotion(face: Described) -> wire.Emotion:
    anger, disgust, fear, sadness = (float(one) for one in face.drawn("emotion").uniform(0.001, 0.02, 4))
    happiness = face.state.smile
    surprise = 0.8 * face.state.mouth_opening * (1 - happiness)
    weights = {
        "anger": anger,
        "disgust": disgust,
        "fear": fear,
        "happiness": happiness,
        "neutral": (1 - happiness) * (1 - surprise),
        "sadness": sadness,
        "surprise": surprise,
    }
    return wire.Emotion(**shares(weights))


def _beauty(face: Described) -> wire.Beauty:
    low, high = face.beauty
    drawn = face.drawn("beauty")
    both = drawn.uniform(0.4, 0.9)
    male, female = (float(both + own) for own in drawn.uniform(-0.05, 0.05, 2))
    return wire.Beauty(
        male_score=score(low + (high - low) * male), female_score=score(low + (high - low) * female)
    )


def _mouth(face: Described) -> wire.Mouth:
    covered = _SURE if face.state.covered_mouth else 0.0
    opening = face.state.mouth_opening
    weights = {
        "surgical_mask_or_respirator": covered,
        "other_occlusion": 0.0,
        "close": (1 - covered) * (1 - opening),
        "open": (1 - covered) * opening,
    }
    return wire.Mouth(**shares(weights))


def _gazes(face: Described) -> wire.Gazes:
    return wire.Gazes(left_eye_gaze=_gaze(face.state.right_eye), right_eye_gaze=_gaze(face.state.left_eye))


def _gaze(eye: EyeState) -> wire.Gaze:
    column, row, right, down, away = (
        Decimal(number).quantize(Decimal("0.001")) for number in (*eye.iris, *eye.gaze)
    )
    return wire.Gaze(
        position_x_coordinate=column,
        position_y_coordinate=row,
        vector_x_component=right,
        vector_y_component=down,
        vector_z_component=away,
    )


def _skin(face: Described) -> wire.Skin:
    health, stain, acne, dark_circle = (
        score(float(value)) for value in face.drawn("skinstatus").uniform(1, 60, 4)
    )
    return wire.Skin(health=health, stain=stain, acne=acne, dark_circle=dark_circle)


def _ethnicity(_face: Described) -> wire.Ethnicity:
    return wire.Ethnicity(value="")


ATTRIBUTES: Final[Mapping[str, tuple[str, Callable[[Described], Body]]]] = {
    "gender": ("gender", _gender),
    "age": ("age", _age),
    "smiling": ("smile", _smile),
    "headpose": ("headpose", _head_pose),
    "facequality": ("facequality", _face_quality),
    "blur": ("blur", _blur),
    "eyestatus": ("eyestatus", _eyes),
    "emotion": ("emotion", _emotion),
    "beauty": ("beauty", _beauty),
    "mouthstatus": ("mouthstatus", _mouth),
    "eyegaze": ("eyegaze", _gazes),
    "skinstatus": ("skinstatus", _skin),
    "ethnicity": ("ethnicity", _ethnicity),
}
"""The member and the function of each attribute that can be requested, in the order of a response."""

IGNORED: Final = frozenset({"glass", "nose_occlusion", "chin_occlusion", "face_occlusion"})
"""Attributes that clients request, but that no document describes. Responses omit them."""
