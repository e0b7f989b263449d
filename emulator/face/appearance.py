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
