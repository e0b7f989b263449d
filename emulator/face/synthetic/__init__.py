"""Pictures of people who do not exist, with everything about them known exactly.

A head is modelled (the canonical mesh with an identity and an expression, closed by a skull; neck,
ears, shoulders and hair), painted by procedure, lit, and drawn. It is a clean stylised portrait that
face detectors recognise, and its landmarks are the mesh's own vertices.
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
