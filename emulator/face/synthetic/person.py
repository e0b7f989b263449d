"""The specification of a synthetic face, and the person that follows from the specification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from emulator.face import identity
from emulator.face.synthetic.color import HAIR_COLORS, SKIN_TONES, Floats, HairColor, Singles, linear
from emulator.face.synthetic.expression import Expression
from emulator.face.synthetic.shape import draw_identity

HairType: TypeAlias = Literal[
    "short_straight",
    "short_wavy",
    "long_straight",
    "long_wavy",
    "ponytail_straight",
    "ponytail_wavy",
    "curly",
    "bald",
]
Gender: TypeAlias = Literal["female", "male"]
Light: TypeAlias = Literal["soft", "left", "right", "above", "warm", "cold", "dark"]
Background: TypeAlias = Literal["studio", "wall", "window", "outdoors"]

_IRIS_COLORS = ("4a2f1d", "5b3a22", "6b5a35", "5d7a86", "5f7a58")
_CLOTHES_COLORS = ("2f3b52", "5b6770", "7a2f35", "30504a", "c9c4ba", "3a3a3f", "8a7355", "a8b8c8", "6a4a6a")
_BACKGROUND_COLORS = ("b9c4cf", "c9c3b8", "a8b5ad", "d3d3d6", "8f9dac", "bfb0a6", "c7b7bd", "9fb3b5")

_FRAMES = ("18181b", "3a2416", "6e6a64", "28323f")

_FEMALE_HAIR: Final[dict[HairType, float]] = {
    "long_straight": 0.26,
    "long_wavy": 0.26,
    "ponytail_straight": 0.13,
    "ponytail_wavy": 0.11,
    "short_straight": 0.1,
    "short_wavy": 0.08,
    "curly": 0.06,
    "bald": 0.0,
}
_MALE_HAIR: Final[dict[HairType, float]] = {
    "long_straight": 0.03,
    "long_wavy": 0.03,
    "ponytail_straight": 0.02,
    "ponytail_wavy": 0.0,
    "short_straight": 0.46,
    "short_wavy": 0.22,
    "curly": 0.12,
    "bald": 0.12,
}


AT_REST: Final = Expression()


@dataclass(frozen=True)
class SyntheticFaceSpec:
    """The specification of a synthetic face. Equal specs give bit-identical pictures.

    Attributes
    ----------
    seed : int
        Seed for all attributes that are None, and for details that have no attribute here.
    identity_coefficients : tuple of float, optional
        The face's shape. If None, `emulator.face.synthetic.shape.draw_identity` returns a random one.
    yaw, pitch, roll : float
        The head's pose in degrees, with the signs of ``Pose``.
    expression : Expression
    skin_tone : int, optional
        1 to 10 on the Monk scale.
    hair_color, hair_type : str, optional
        A ``HairColor`` and a ``HairType``.
    gender : str, optional
        'female' or 'male'. Determines the distributions of face shape, hair and beard.
    glasses : bool, optional
        Whether the person wears glasses. If None, one person in eight does.
    covered_mouth : bool
        Whether a medical mask covers nose and mouth.
    light, background : str, optional
        A ``Light`` and a ``Background``. If None, soft light and a studio backdrop.
    blur : float
        The standard deviation of an out-of-focus blur, as a fraction of the face's width.
    width, height : int
        The picture's size in pixels.
    face_fraction : float
        The width of the face without rotation and expression, as a fraction of the picture's width.
    center : (float, float)
        The centre of the face, as fractions of the picture's width and height.
    """

    seed: int = 0
    identity_coefficients: tuple[float, ...] | None = None
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    expression: Expression = AT_REST
    skin_tone: int | None = None
    hair_color: HairColor | None = None
    hair_type: HairType | None = None
    gender: Gender | None = None
    glasses: bool | None = None
    covered_mouth: bool = False
    light: Light | None = None
    background: Background | None = None
    blur: float = 0.0
    width: int = 640
    height: int = 640
    face_fraction: float = 0.4
    center: tuple[float, float] = (0.5, 0.53)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, not {self.seed}")
        if self.skin_tone is not None and not 1 <= self.skin_tone <= len(SKIN_TONES):
            raise ValueError(f"skin_tone must be 1 to {len(SKIN_TONES)}, not {self.skin_tone}")
        for name, choices in (
            ("hair_color", tuple(HAIR_COLORS)),
            ("hair_type", get_args(HairType)),
            ("gender", get_args(Gender)),
            ("light", get_args(Light)),
            ("background", get_args(Background)),
        ):
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"the picture must have pixels, not {self.width} x {self.height}")
        if not 0.0 < self.face_fraction <= 1.0:
            raise ValueError(f"face_fraction must be above 0 and at most 1, not {self.face_fraction}")
        if not 0.0 <= self.blur <= 1.0:
            raise ValueError(f"blur must be 0 to 1, not {self.blur}")
        if not np.isfinite([self.yaw, self.pitch, self.roll, *self.center]).all():
            raise ValueError("pose and center must be finite, not NaN or infinite")
        count = identity.IDENTITY_COUNT
        if self.identity_coefficients is not None and len(self.identity_coefficients) != count:
            raise ValueError(
                f"identity_coefficients must have {count} values, not {len(self.identity_coefficients)}"
            )


@dataclass(frozen=True, eq=False)
class Person:
    """All attributes of a person. Most are random; `draw_person` gives their ranges."""

    identity_coefficients: Floats
    skin_tone: int
    hair_color: HairColor
    hair_type: HairType
    gender: Gender
    glasses: bool
    frame: Singles
    round_frame: bool
    iris: Singles
    clothes: Singles
    neckline: float
    background: Singles
    skin_shift: Singles
    beard: float
    moustache: float
    brow_weight: float
    brow_width: float
    lip_redness: float
    makeup: float
    freckles: float
    age: float
    light_turn: float
    hairline_cm: float
    parting: float
    fringe: float
    noise_seed: int


def draw_person(spec: SyntheticFaceSpec) -> Person:
    """Return the person with the attributes of ``spec``; the seed determines the others.

    Setting an attribute does not change the random numbers for the others. So the other attributes stay the
    same, unless they depend on this attribute. For example, the hair type depends on the gender.
    """
    rng = np.random.default_rng(spec.seed)
    shares = rng.random(24)
    gender: Gender = ("female" if shares[0] < 0.5 else "male") if spec.gender is None else spec.gender
    male = gender == "male"
    skin_tone = 1 + int(shares[1] * len(SKIN_TONES)) if spec.skin_tone is None else spec.skin_tone
    age = float(shares[2])
    hair_type = spec.hair_type or _pick(shares[3], _MALE_HAIR if male else _FEMALE_HAIR)
    hair_color = spec.hair_color or _hair_color(shares[4], skin_tone, age)
    # Light eyes occur only with light skin, dark eyes with any skin.
    iris = _IRIS_COLORS[int(shares[5] * len(_IRIS_COLORS))] if skin_tone <= 4 else _IRIS_COLORS[0]
    bearded = male and hair_type not in ("ponytail_straight", "ponytail_wavy")
    drawn = draw_identity(rng, (1.0 if male else -1.2) * (0.6 + 0.8 * float(shares[6])))
    given = spec.identity_coefficients
    # Vary the skin slightly around the colour of the Monk scale.
    shift = 1.0 + np.array([0.05, 0.05, 0.07]) * (shares[7:10] - 0.5)
    return Person(
        identity_coefficients=drawn if given is None else np.array(given, np.float64),
        skin_tone=skin_tone,
        hair_color=hair_color,
        hair_type=hair_type,
        gender=gender,
        glasses=bool(shares[10] < 0.125) if spec.glasses is None else spec.glasses,
        frame=linear(_FRAMES[int(shares[11] * len(_FRAMES))]),
        round_frame=bool(shares[11] * len(_FRAMES) % 1.0 < 0.5),
        iris=linear(iris),
        clothes=linear(_CLOTHES_COLORS[int(shares[12] * len(_CLOTHES_COLORS))]),
        neckline=float(shares[13]) * (0.5 if male else 1.0),
        background=linear(_BACKGROUND_COLORS[int(shares[14] * len(_BACKGROUND_COLORS))]),
        skin_shift=shift.astype(np.float32),
        beard=float(max(0.0, shares[15] - 0.35) / 0.65) if bearded else 0.0,
        moustache=float(shares[16]) if bearded else 0.0,
        brow_weight=float((0.8 if male else 0.62) + 0.4 * shares[17]),
        brow_width=float((0.95 if male else 0.5) + 0.45 * shares[18]),
        lip_redness=float(shares[19]) * (0.4 if male else 1.0),
        makeup=0.0 if male else float(shares[20]),
        freckles=float(max(0.0, shares[21] - 0.65) / 0.35) if skin_tone <= 3 else 0.0,
        age=age,
        light_turn=float(shares[22] - 0.5),
        hairline_cm=float(1.1 * (shares[23] - 0.5)),
        parting=float(rng.uniform(-1.0, 1.0)),
        fringe=float(rng.random()),
        noise_seed=int(rng.integers(2**31)),
    )


def _pick(share: float, weights: dict[HairType, float]) -> HairType:
    """Return a hair type for a random number ``share``, 0 to 1. The weights are probabilities."""
    total = 0.0
    for choice, weight in weights.items():
        total += weight
        if share < total:
            return choice
    return "short_straight"


def _hair_color(share: float, skin_tone: int, age: float) -> HairColor:
    """Return a hair colour that fits the skin tone, for a random number ``share``, 0 to 1.

    ``age`` is from 0 to 1, too. Above 0.82, grey hair is frequent.
    """
    grey = 0.55 if age > 0.82 else 0.03
    if share < grey:
        return "grey"
    rest = (share - grey) / (1.0 - grey)
    choices: tuple[HairColor, ...] = (
        ("black", "dark_brown")
        if skin_tone >= 7
        else ("black", "dark_brown", "dark_brown", "brown")
        if skin_tone >= 5
        else ("black", "dark_brown", "brown", "brown", "auburn", "blond", "blond")
    )
    return choices[int(rest * len(choices))]
