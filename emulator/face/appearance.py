"""A person's visible attributes: colours, hair, gender guess, glasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
        RGB. Without visible hair, ``hair_color`` is the colour of the scalp if that is visible, otherwise
        ``skin_color``.
    hair_length : {'short', 'long', 'ponytail'}
        'long' hair falls below the chin on both sides, a 'ponytail' on one side.
    hair_texture : {'straight', 'wavy'}
        'straight' if neighbouring strands are parallel.
    gender : {'female', 'male'}
        A plausible guess from proportions and hair, not a classification.
    glasses : bool
        Whether edges of a frame cross both the nose bridge and the skin below the nearer eye.
    blink_correction : float
        0.9 to 1.1: below 1 for narrow eyes, above 1 for wide open eyes.
    """

    skin_color: Color
    hair_color: Color
    hair_length: HairLength
    hair_texture: HairTexture
    gender: Gender
    glasses: bool
    blink_correction: float
