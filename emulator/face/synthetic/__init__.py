"""Synthetic faces: pictures of people who do not exist, with exact ground truth.

The package models a head, paints it procedurally, lights it and renders it. The head is the canonical
mesh with an identity and an expression, plus skull, neck, ears, shoulders and hair. The result is a
clean, stylised portrait that face detectors recognise. Its landmarks are the vertices of the canonical
mesh.
"""

from __future__ import annotations

from emulator.face.synthetic.color import HAIR_COLORS, SKIN_TONES, HairColor
from emulator.face.synthetic.expression import Expression
from emulator.face.synthetic.person import (
    Background,
    Gender,
    HairType,
    Light,
    Person,
    SyntheticFaceSpec,
)
from emulator.face.synthetic.render import (
    SyntheticFace,
    render_backdrop,
    render_face,
    render_people,
    render_shape,
)
from emulator.face.synthetic.truth import ground_truth

__all__ = [
    "HAIR_COLORS",
    "SKIN_TONES",
    "Background",
    "Expression",
    "Gender",
    "HairColor",
    "HairType",
    "Light",
    "Person",
    "SyntheticFace",
    "SyntheticFaceSpec",
    "ground_truth",
    "render_backdrop",
    "render_face",
    "render_people",
    "render_shape",
]
