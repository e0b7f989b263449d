"""What a picture shows of a person: attributes that last, and the momentary state of the face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emulator.face.pose import Pose

HairLength: TypeAlias = Literal["short", "long", "ponytail"]
HairTexture: TypeAlias = Literal["straight", "wavy"]
Gender: TypeAlias = Literal["female", "male"]
Color: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Attributes:
    """The result of `emulator.face.attributes.face_attributes`.

    Attributes
    ----------
    skin_color, hair_color : (3,) uint8
        RGB. If no hair is visible, ``hair_color`` is the colour of the scalp. If the scalp is not visible
        either, ``hair_color`` is equal to ``skin_color``.
    hair_length : {'short', 'long', 'ponytail'}
        'long' hair falls below the chin on both sides, a 'ponytail' on one side.
    hair_texture : {'straight', 'wavy'}
        'straight' if neighbouring strands are parallel, otherwise 'wavy'.
    gender : {'female', 'male'}
        A guess from the shape of the head, the hair and a beard, without a trained classifier.
    glasses : bool
        Whether the picture shows glasses: a line across the bridge of the nose, and one below an eye.
    blink_correction : float
        Opening of the eyes, 0.9 to 1.1: below 1 for narrow eyes, above 1 for wide open eyes.
    """

    skin_color: Color
    hair_color: Color
    hair_length: HairLength
    hair_texture: HairTexture
    gender: Gender
    glasses: bool
    blink_correction: float


@dataclass(frozen=True)
class EyeState:
    """The state of one eye.

    Attributes
    ----------
    opening : float
        0 to 1: 0 if the eye is surely closed, 1 if it is surely open.
    iris : (float, float)
        Position of the centre of the iris between the corners of the eye, and between the upper and the lower
        lid: x is 0 at the corner at the left of the picture and 1 at the right, y is 0 at the upper lid and 1
        at the lower lid. Both are between 0 and 1.
    gaze : (float, float, float)
        Unit vector of the direction of the gaze: x right in the picture, y down, z away from the camera.
    """

    opening: float
    iris: tuple[float, float]
    gaze: tuple[float, float, float]


@dataclass(frozen=True)
class FaceState:
    """The result of `emulator.face.face_state.face_state`. Left and right are the person's own.

    Attributes
    ----------
    pose : Pose
    left_eye, right_eye : EyeState
    mouth_opening : float
        0 to 1: 0 if the mouth is surely closed, 1 if it is surely open.
    smile : float
        0 to 1.
    blur : float
        0 to 1: 0 if the face is sharp, more than 0.5 if details of the face are lost.
    covered_mouth : bool
        Whether something covers the mouth, such as a mask.
    dark_lenses : bool
        Whether both eyes are behind something dark. Without glasses, this can be a shadow.
    """

    pose: Pose
    left_eye: EyeState
    right_eye: EyeState
    mouth_opening: float
    smile: float
    blur: float
    covered_mouth: bool
    dark_lenses: bool
