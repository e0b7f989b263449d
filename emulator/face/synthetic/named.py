"""The test faces: named pictures with a fixed outcome.

They work like the test card numbers of payment providers. For example, the picture ``too-small``
makes the service report that the face is too small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from emulator.face.synthetic.expression import Expression
from emulator.face.synthetic.person import SyntheticFaceSpec

Damage: TypeAlias = Literal["truncated", "no_picture"]


@dataclass(frozen=True)
class NamedFace:
    """A test face.

    Attributes
    ----------
    shows : str
        A short description of the picture.
    people : tuple of SyntheticFaceSpec
        The people in the picture. The first one also sets the picture's size, background, light and
        blur. If empty, the picture is a backdrop without people.
    damage : str, optional
        The damage to the file: 'truncated' cuts off its end, 'no_picture' writes text instead.
    """

    shows: str
    people: tuple[SyntheticFaceSpec, ...]
    damage: Damage | None = None


_SEED: Final = 17
_OTHER: Final = 20
# The seed of a woman. The emulator estimates her attributes correctly with both hair types.
_LONG_HAIRED: Final = 54

NAMED_FACES: Final[dict[str, NamedFace]] = {
    "ok-frontal": NamedFace("one person from the front", (SyntheticFaceSpec(seed=_SEED),)),
    "ok-left": NamedFace(
        "the same person, turned 25° to their left", (SyntheticFaceSpec(seed=_SEED, yaw=25),)
    ),
    "ok-right": NamedFace(
        "the same person, turned 25° to their right", (SyntheticFaceSpec(seed=_SEED, yaw=-25),)
    ),
    "ok-smile": NamedFace(
        "the same person, smiling", (SyntheticFaceSpec(seed=_SEED, expression=Expression(smile=1.0)),)
    ),
    "open-mouth": NamedFace(
        "the same person, mouth wide open",
        (SyntheticFaceSpec(seed=_SEED, expression=Expression(open_mouth=0.8)),),
    ),
    "closed-eyes": NamedFace(
        "the same person, eyes closed",
        (SyntheticFaceSpec(seed=_SEED, expression=Expression(closed_eyes=1.0)),),
    ),
    "glasses": NamedFace("the same person with glasses", (SyntheticFaceSpec(seed=_SEED, glasses=True),)),
    "covered-mouth": NamedFace(
        "the same person with a medical mask", (SyntheticFaceSpec(seed=_SEED, covered_mouth=True),)
    ),
    "long-hair": NamedFace(
        "another person, with long wavy hair", (SyntheticFaceSpec(seed=_LONG_HAIRED, hair_type="long_wavy"),)
    ),
    "ponytail": NamedFace(
        "the person from `long-hair`, with a ponytail",
        (SyntheticFaceSpec(seed=_LONG_HAIRED, hair_type="ponytail_straight"),),
    ),
    "turned-45": NamedFace(
        "the first person, turned 45° to their left", (SyntheticFaceSpec(seed=_SEED, yaw=45),)
    ),
    "tilted-40": NamedFace("the first person, head tilted by 40°", (SyntheticFaceSpec(seed=_SEED, roll=40),)),
    "too-small": NamedFace(
        "a face that fills 4 % of the picture's width",
        (SyntheticFaceSpec(seed=_SEED, width=1600, height=900, face_fraction=0.04, background="wall"),),
    ),
    "two-faces": NamedFace(
        "two people",
        (
            SyntheticFaceSpec(seed=_SEED, width=1000, face_fraction=0.24, center=(0.3, 0.5)),
            SyntheticFaceSpec(seed=_OTHER, width=1000, face_fraction=0.2, center=(0.72, 0.52)),
        ),
    ),
    "crowd": NamedFace(
        "five people",
        tuple(
            SyntheticFaceSpec(
                seed=30 + index,
                width=1280,
                height=720,
                face_fraction=fraction,
                center=(x, y),
                yaw=yaw,
                background="outdoors",
            )
            for index, (fraction, x, y, yaw) in enumerate(
                (
                    (0.13, 0.15, 0.55, 10),
                    (0.12, 0.37, 0.5, -8),
                    (0.13, 0.6, 0.56, 0),
                    (0.12, 0.83, 0.5, -12),
                    (0.1, 0.485, 0.26, 5),
                )
            )
        ),
    ),
    "no-face": NamedFace("an empty room", ()),
    "blurred": NamedFace("a face far out of focus", (SyntheticFaceSpec(seed=_SEED, blur=0.25),)),
    "too-dark": NamedFace("a face in the dark", (SyntheticFaceSpec(seed=_SEED, light="dark"),)),
    "too-few-pixels": NamedFace(
        "one person in a picture of 120 by 120 pixels",
        (SyntheticFaceSpec(seed=_SEED, width=120, height=120),),
    ),
    "too-many-pixels": NamedFace(
        "one person in a picture 4200 pixels wide",
        (
            SyntheticFaceSpec(
                seed=_SEED,
                width=4200,
                height=400,
                face_fraction=0.06,
                background="wall",
            ),
        ),
    ),
    "corrupt": NamedFace(
        "a JPEG file cut off after a third of its bytes", (SyntheticFaceSpec(seed=_SEED),), damage="truncated"
    ),
    "not-a-picture": NamedFace("text in a file named .jpg", (), damage="no_picture"),
}
"""The test faces by name."""
