"""What a person looks like in a few words and colours."""

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
    """What `emulator.face.attributes.face_attributes` measured.

    Attributes
    ----------
    skin_color, hair_color : (3,) uint8
        RGB. Without hair that can be seen, its colour is the skin's, at the scalp if that can be seen.
    hair_length : {'short', 'long', 'ponytail'}
        'long' falls below the chin on both sides, 'ponytail' on one.
    hair_texture : {'straight', 'wavy'}
        Whether neighbouring strands run in one direction.
    gender : {'female', 'male'}
        A plausible guess from proportions and hair, not a classification of anybody.
    glasses : bool
        Whether something with edges spans the nose bridge and lies below the nearer eye.
    blink_correction : float
        Near 1: below it for narrow eyes, above it for wide open ones.
    """

    skin_color: Color
    hair_color: Color
    hair_length: HairLength
    hair_texture: HairTexture
    gender: Gender
    glasses: bool
    blink_correction: float
