"""Painted colours of a synthetic face, positioned by the landmarks of the canonical mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from emulator.face.canonical import canonical_mesh
from emulator.face.landmarks import (
    CHIN_TIP,
    LEFT_EYEBROW_LOWER,
    LEFT_EYEBROW_UPPER,
    LEFT_JAW,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    MIRROR,
    NOSE_BASE,
    NOSE_TIP,
    RIGHT_EYEBROW_LOWER,
    RIGHT_EYEBROW_UPPER,
    RIGHT_JAW,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)
from emulator.face.synthetic.color import (
    HAIR_COLORS,
    SKIN_TONES,
    Floats,
    Singles,
    affected,
    darkened,
    linear,
    mixed,
    single,
    smooth_noise,
    srgb,
)
from emulator.face.synthetic.person import Person
from emulator.face.types import Points2


def _both_sides(right: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return right, tuple(MIRROR[index] for index in right)


# Landmarks of lines for painting, on the right and the left side. They run from the outer corner of the eye
# to the inner one, or down the fold.
_LID_CREASES: Final = _both_sides((130, 247, 30, 29, 27, 28, 56, 190, 243))
_LID_BAGS: Final = _both_sides((130, 25, 110, 24, 23, 22, 26, 112, 243))
_NASOLABIAL: Final = _both_sides((129, 203, 206, 216, 212))
_CHEEKS: Final = (50, 280)
_ALAE: Final = (NOSE_BASE[0], NOSE_BASE[-1])
_SUBNASALE: Final = NOSE_BASE[2]
_UPPER_LIDS: Final = (RIGHT_UPPER_LID, LEFT_UPPER_LID)
_LOWER_LIDS: Final = (RIGHT_LOWER_LID, LEFT_LOWER_LID)
_UPPER_BROWS: Final = (RIGHT_EYEBROW_UPPER, LEFT_EYEBROW_UPPER)
_LOWER_BROWS: Final = (RIGHT_EYEBROW_LOWER, LEFT_EYEBROW_LOWER)

# Resolution and extent of the paint in the frontal plane (x and y) of the canonical mesh.
_PAINT_PER_CM: Final = 34.0
_PAINT_HALF_WIDTH_CM: Final = 10.0
_PAINT_TOP_CM: Final = 12.0
_PAINT_BOTTOM_CM: Final = 16.0

_IRIS_RADIUS_CM: Final = 0.6


@dataclass(frozen=True, eq=False)
class Paint:
    """Images of the colours, the gloss and the eyes, in the frontal plane of the canonical mesh.

    Row 0 is at the top.
    """

    albedo: Singles  # (h, w, 3), linear light
    gloss: Singles  # (h, w)
    eye: Singles  # (h, w), 1 inside the lids


def paint_pixels(points: Floats) -> Floats:
    """Convert points (N, 2 or 3) of the canonical mesh, in centimetres, to pixels (N, 2) of the paint."""
    return np.stack(
        [
            (points[:, 0] + _PAINT_HALF_WIDTH_CM) * _PAINT_PER_CM,
            (_PAINT_TOP_CM - points[:, 1]) * _PAINT_PER_CM,
        ],
        axis=1,
    )


def _paint_shape() -> tuple[int, int]:
    return (
        int((_PAINT_TOP_CM + _PAINT_BOTTOM_CM) * _PAINT_PER_CM),
        int(2 * _PAINT_HALF_WIDTH_CM * _PAINT_PER_CM),
    )


def skin_color(person: Person) -> Singles:
    """Return the colour of the person's skin (3,) in linear light."""
    # Increase the exposure for dark skin, as a photographer does.
    exposure = np.float32(1.0 + 0.22 * max(0, person.skin_tone - 6))
    tone = linear(SKIN_TONES[person.skin_tone - 1]) * person.skin_shift * exposure
    # Under light, dark skin is more colourful than the colours of the Monk scale.
    chroma = np.float32(1.0 + 0.12 * max(0, person.skin_tone - 6))
    return single(tone.mean() + (tone - tone.mean()) * chroma)


def _rows() -> Floats:
    """Return y, in centimetres, for each row of the paint."""
    return _PAINT_TOP_CM - np.arange(_paint_shape()[0]) / _PAINT_PER_CM


def _blur(mask: Singles, sigma_cm: float) -> Singles:
    return single(cv2.GaussianBlur(mask, (0, 0), sigma_cm * _PAINT_PER_CM))


def _curve(points: Points2, samples: int = 48) -> Points2:
    """Return a smooth curve through ``points``, with ``samples`` points."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return PchipInterpolator(along, points, axis=0)(np.linspace(0.0, along[-1], samples))


def _fixed(points: Points2) -> NDArray[np.int32]:
    # OpenCV draws with coordinates in 1/16 pixel (shift=4).
    fixed: NDArray[np.int32] = np.rint(paint_pixels(points) * 16).astype(np.int32)
    return fixed


def _filled(points: Points2) -> Singles:
    mask = np.zeros(_paint_shape(), np.uint8)
    cv2.fillPoly(mask, [_fixed(points)], [255], cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / np.float32(255.0)


def _stroked(lines: list[Points2], width_cm: float) -> Singles:
    mask = np.zeros(_paint_shape(), np.uint8)
    thickness = max(1, round(width_cm * _PAINT_PER_CM))
    # Convert all lines at once, because brows have hundreds of lines of two points.
    pixels = np.split(_fixed(np.concatenate(lines)), np.cumsum([len(line) for line in lines[:-1]]))
    cv2.polylines(
        mask, pixels, isClosed=False, color=[255], thickness=thickness, lineType=cv2.LINE_AA, shift=4
    )
    return mask.astype(np.float32) / np.float32(255.0)


def _spot(centre: Floats, radius_x_cm: float, radius_y_cm: float) -> Singles:
    """Return a Gaussian (h, w) with peak 1 at ``centre`` and the radii as standard deviations."""
    height, width = _paint_shape()
    x, y = paint_pixels(centre[np.newaxis])[0]
    across = np.exp(-(((np.arange(width) - x) / (radius_x_cm * _PAINT_PER_CM)) ** 2) / 2)
    down = np.exp(-(((np.arange(height) - y) / (radius_y_cm * _PAINT_PER_CM)) ** 2) / 2)
    return single(down[:, np.newaxis] * across[np.newaxis])


def _disc(distance: Singles, radius: float, softness: float) -> Singles:
    return np.clip((radius - distance) / softness + 0.5, 0, 1).astype(np.float32)


def paint_face(person: Person, *, open_mouth: bool) -> Paint:
    """Paint the face in the frontal plane of the canonical mesh."""
    rng = np.random.default_rng(person.noise_seed)
    v = canonical_mesh().vertices[:, :2]
    shape = _paint_shape()
    skin = skin_color(person)
    lightness = float(srgb(skin).mean())

    albedo = np.broadcast_to(skin, (*shape, 3)).astype(np.float32)
    # Cheeks, nose and chin are redder.
    red = sum((_spot(v[cheek], 1.9, 1.5) for cheek in _CHEEKS), np.zeros(shape, np.float32))
    red = (
        0.75 * red
        + 0.8 * _spot(v[NOSE_TIP] + [0, 0.1], 1.0, 0.9)
        + 0.35 * _spot(v[CHIN_TIP] + [0, 1.2], 1.4, 0.8)
    )
    flush = (
        np.array([1.06, 0.8, 0.77], np.float32) if lightness > 0.5 else np.array([1.1, 0.9, 0.86], np.float32)
    )
    albedo = darkened(albedo, flush, np.clip(red, 0, 1))
    albedo = albedo * (1.0 + 0.05 * _spot(v[151] + [0, 0.3], 3.2, 1.4))[..., np.newaxis]
    gloss = 0.8 + 0.5 * _spot(v[NOSE_TIP], 0.8, 0.9) + 0.3 * _spot(v[151], 2.5, 1.5)

    albedo = _paint_age(person, albedo)
    albedo = _paint_freckles(person, albedo, rng)
    albedo = _paint_beard(person, albedo, rng)

    # Eyelids and their surroundings.
    for upper, crease, bag in zip(_UPPER_LIDS, _LID_CREASES, _LID_BAGS, strict=True):
        socket = _blur(_filled(np.concatenate([_curve(v[list(crease)]), _curve(v[list(bag)])[::-1]])), 0.25)
        albedo = darkened(albedo, np.array([0.8, 0.7, 0.69], np.float32), 0.55 * socket)
        if person.makeup:
            lid = _blur(
                _filled(np.concatenate([_curve(v[list(crease)]), _curve(v[list(upper)])[::-1]])), 0.12
            )
            albedo = darkened(albedo, np.array([0.6, 0.5, 0.52], np.float32), 0.6 * person.makeup * lid)
        fold = (v[list(crease)] * 0.75 + v[list(upper)] * 0.25)[1:-2]
        albedo = darkened(albedo, 0.3, 0.75 * _blur(_stroked([_curve(fold)], 0.07), 0.05))
        below_eye = _blur(_stroked([_curve(v[list(bag)][1:-2])], 0.12), 0.16)
        albedo = darkened(albedo, 0.62, 0.5 * below_eye)

    # Nostrils, and the shadow below the nose.
    for ala in _ALAE:
        hole = np.array([0.56 * v[ala][0], 0.5 * v[ala][1] + 0.5 * v[_SUBNASALE][1] + 0.18])
        albedo = mixed(albedo, skin * np.float32(0.06), np.clip(1.25 * _spot(hole, 0.3, 0.13), 0, 0.92))
    albedo = darkened(albedo, 0.5, 0.6 * _spot(v[_SUBNASALE] + [0, -0.1], 0.9, 0.12))

    albedo, gloss = _paint_mouth(person, albedo, gloss.astype(np.float32), rng, open_mouth=open_mouth)
    albedo = _paint_brows(person, albedo, rng)
    albedo, eye = _paint_eyes(person, albedo)
    return Paint(albedo, gloss, eye)


def _paint_age(person: Person, albedo: Singles) -> Singles:
    """Return the albedo with wrinkles that depend on the person's age."""
    v = canonical_mesh().vertices[:, :2]
    amount = max(0.0, person.age - 0.35) / 0.65
    for fold in _NASOLABIAL:
        albedo = darkened(
            albedo, 0.55, (0.1 + 0.75 * amount) * _blur(_stroked([_curve(v[list(fold)])], 0.1), 0.09)
        )
    if amount <= 0:
        return albedo
    lines = []
    for height, half in ((1.0, 3.4), (1.9, 3.8), (2.8, 3.2)):
        x = np.linspace(-half, half, 40)
        lines.append(np.stack([x, v[151, 1] + height - 1.3 + 0.12 * np.cos(1.3 * x) - 0.012 * x**2], axis=1))
    albedo = darkened(albedo, 0.6, 0.7 * amount * _blur(_stroked(lines, 0.06), 0.06))
    feet = []
    for corner in (33, 263):
        side = np.sign(v[corner, 0])
        for rise in (-0.5, 0.0, 0.45):
            t = np.linspace(0.35, 1.2, 12)
            feet.append(v[corner] + np.stack([side * t, rise * t + 0.1 * t**2], axis=1))
    albedo = darkened(albedo, 0.6, 0.7 * amount * _blur(_stroked(feet, 0.05), 0.05))
    bags = [_curve(v[list(bag)][1:-1]) - np.array([0.0, 0.35]) for bag in _LID_BAGS]
    return darkened(albedo, 0.6, 0.6 * amount * _blur(_stroked(bags, 0.1), 0.12))


def _paint_freckles(person: Person, albedo: Singles, rng: np.random.Generator) -> Singles:
    v = canonical_mesh().vertices[:, :2]
    centres, radii = [], []
    # Draw the random numbers also for people without freckles, because all features share the generator.
    for _ in range(170):
        centres.append(v[[50, 280, 4, 101, 330][int(rng.integers(5))]] + rng.normal(0.0, (1.2, 0.8)))
        radii.append(int(16 * rng.uniform(0.8, 2.2)))
    if not person.freckles:
        return albedo
    spots = np.zeros(_paint_shape(), np.uint8)
    for (x, y), radius in zip(_fixed(np.array(centres)).tolist(), radii, strict=True):
        cv2.circle(spots, (x, y), radius, [255], -1, cv2.LINE_AA, 4)
    amount = _blur(spots.astype(np.float32) / np.float32(255.0), 0.02)
    return darkened(albedo, np.array([0.72, 0.55, 0.45], np.float32), 0.75 * person.freckles * amount)


def _paint_beard(person: Person, albedo: Singles, rng: np.random.Generator) -> Singles:
    """Return the albedo with the person's stubble or beard, and moustache."""
    if person.beard <= 0 and person.moustache < 0.6:
        return albedo
    v = canonical_mesh().vertices[:, :2]
    shape = _paint_shape()
    hair = linear(HAIR_COLORS[person.hair_color])
    mouth = v[list(UPPER_LIP_OUTER)]
    jaw = v[[*RIGHT_JAW, *LEFT_JAW[-2::-1]]] - np.array([0.0, 0.5])
    line = np.concatenate([jaw, v[[366, 425, 436, 327, 2, 98, 216, 205, 137]]])
    area = _blur(_filled(line), 0.5)
    lips = _filled(np.concatenate([_curve(v[list(UPPER_LIP_OUTER)]), _curve(v[list(LOWER_LIP_OUTER)])[::-1]]))
    below_lip = _spot(mouth.mean(axis=0) + np.array([0.0, -1.9]), 0.5, 0.3)
    area = np.clip(area - 0.6 * below_lip, 0, 1) * (1 - _blur(lips, 0.08))
    upper = _blur(
        _filled(
            np.concatenate(
                [_curve(v[list(UPPER_LIP_OUTER)]), _curve(v[[291, 410, 322, 326, 2, 97, 92, 186, 61]])]
            )
        ),
        0.15,
    )
    down = (v[_SUBNASALE][1] - 0.1 - _rows()) / 0.8
    below = np.clip(down, 0, 1).astype(np.float32)[:, np.newaxis]
    # Noise that is stretched vertically, because hairs grow downwards.
    fine = smooth_noise(rng, (shape[0] // 4, shape[1]), 1.6)
    strands = 0.75 + 0.3 * single(cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_LINEAR))
    full = max(0.0, person.beard - 0.45) / 0.55
    amount = np.clip(area * below * strands, 0, 1) * np.float32(
        0.25 * min(1.0, 2 * person.beard) + 0.65 * full
    )
    if person.moustache > 0.6 or full > 0:
        amount = np.maximum(
            amount,
            np.clip(upper * strands, 0, 1) * np.float32(0.8 if full or person.moustache > 0.8 else 0.4),
        )
    shadow = mixed(albedo * np.float32(0.7), hair, np.full(shape, 0.3 + 0.6 * full, np.float32))
    return mixed(albedo, shadow, amount.astype(np.float32))


def _paint_mouth(
    person: Person, albedo: Singles, gloss: Singles, rng: np.random.Generator, *, open_mouth: bool
) -> tuple[Singles, Singles]:
    v = canonical_mesh().vertices[:, :2]
    upper, lower = (_curve(v[list(line)]) for line in (UPPER_LIP_OUTER, LOWER_LIP_OUTER))
    inner_upper, inner_lower = (_curve(v[list(line)]) for line in (UPPER_LIP_INNER, LOWER_LIP_INNER))
    skin = skin_color(person)
    deep = np.array([0.74, 0.42, 0.42], np.float32) + np.array([0.1, -0.08, -0.06], np.float32) * np.float32(
        person.lip_redness
    )
    if person.skin_tone >= 7:
        deep = deep * np.array([1.15, 1.35, 1.35], np.float32)
    lip = skin * deep
    # Lipstick. It is darker on darker skin.
    lip = lip + (linear("a8323c") * np.float32(0.4 + 0.6 * skin.mean()) - lip) * np.float32(
        0.55 * person.makeup
    )
    lips = _blur(_filled(np.concatenate([upper, lower[::-1]])), 0.045)
    grain = 1.0 + 0.06 * cv2.resize(
        smooth_noise(rng, (_paint_shape()[0] // 8, _paint_shape()[1]), 3), _paint_shape()[::-1]
    )
    albedo = mixed(albedo, lip * grain[..., np.newaxis], 0.9 * lips)
    # The upper lip faces down and is darker, the lower lip faces up and is brighter.
    top = _blur(_filled(np.concatenate([upper, inner_upper[::-1]])), 0.08)
    albedo = darkened(albedo, 0.68, 0.75 * top)
    middle = (v[14] + v[17]) / 2
    albedo = darkened(albedo, 1.35, 0.6 * _spot(middle, 0.9, 0.2) * lips)
    albedo = darkened(albedo, 0.55, 0.5 * _spot(v[17] + [0, -0.35], 1.0, 0.22))
    # A thin line around the lips, and the dark gap between them.
    rim = _blur(_stroked([upper], 0.05), 0.04) + _blur(_stroked([lower], 0.05), 0.06)
    albedo = darkened(albedo, 0.62, 0.4 * np.clip(rim, 0, 1))
    if not open_mouth:
        gap = np.maximum(
            _filled(np.concatenate([inner_upper, inner_lower[::-1]])),
            _stroked([(inner_upper + inner_lower) / 2], 0.09),
        )
        albedo = mixed(albedo, lip * np.float32(0.09), 0.92 * _blur(gap, 0.035))
    corners = _spot(v[61], 0.22, 0.14) + _spot(v[291], 0.22, 0.14)
    albedo = darkened(albedo, 0.4, 0.6 * np.clip(corners, 0, 1))
    return albedo, (gloss + 0.8 * lips).astype(np.float32)


def _paint_brows(person: Person, albedo: Singles, rng: np.random.Generator) -> Singles:
    v = canonical_mesh().vertices[:, :2]
    hair = linear(HAIR_COLORS[person.hair_color]) * np.float32(0.8)
    if person.hair_color in ("blond", "grey"):
        # In people with light hair, the brows are darker than the hair.
        hair = hair * np.float32(0.5)
    for upper, lower in zip(_UPPER_BROWS, _LOWER_BROWS, strict=True):
        above, under = _curve(v[list(upper)], 64), _curve(v[list(lower)], 64)
        middle, half = (above + under) / 2, person.brow_width * (above - under) / 2
        body = _blur(_filled(np.concatenate([middle + 0.8 * half, (middle - 0.8 * half)[::-1]])), 0.11)
        hairs = []
        for _ in range(230):
            # Hairs grow upwards and lean outwards, more so at the outer end.
            place = rng.random()
            at = min(63, int(place * 63))
            root = middle[at] + half[at] * rng.uniform(-0.9, 0.75)
            outwards = middle[0] - middle[-1]
            outwards = outwards / np.linalg.norm(outwards)
            lean = 0.35 + 0.75 * (1.0 - place) + rng.normal(0.0, 0.15)
            tip = root + (0.3 + 0.25 * rng.random()) * (
                outwards * np.sin(lean * np.pi / 2) + np.array([0.0, 1.0]) * np.cos(lean * np.pi / 2)
            )
            hairs.append(np.stack([root, tip]))
        strands = np.clip(_blur(_stroked(hairs, 0.03), 0.02) * 1.3, 0, 1) * _blur(body, 0.08)
        amount = np.clip((0.62 * body + 0.55 * strands) * person.brow_weight, 0, 0.93)
        albedo = mixed(albedo, hair, amount.astype(np.float32))
    return albedo


def _paint_eyes(person: Person, albedo: Singles) -> tuple[Singles, Singles]:
    v = canonical_mesh().vertices[:, :2]
    both = np.zeros(_paint_shape(), np.float32)
    x = (np.arange(_paint_shape()[1]) / _PAINT_PER_CM - _PAINT_HALF_WIDTH_CM).astype(np.float32)
    y = _rows().astype(np.float32)[:, np.newaxis]
    lash = np.array([0.012, 0.009, 0.008], np.float32)
    for upper, lower in zip(_UPPER_LIDS, _LOWER_LIDS, strict=True):
        lid, lower_lid = _curve(v[list(upper)]), _curve(v[list(lower)])
        opening = _blur(_filled(np.concatenate([lid, lower_lid[::-1]])), 0.02)
        both = np.maximum(both, opening)
        visible = affected(opening)
        near_x, near_y = x[np.newaxis, visible[1]], y[visible[0]]
        span = v[list(upper)][[0, -1]]
        # The iris is in the middle of the opening, with its top under the upper lid.
        centre = np.array([span[:, 0].mean(), 0.5 * (v[list(upper)][4][1] + v[list(lower)][4][1]) + 0.03])
        distance = np.hypot(near_x - centre[0], near_y - centre[1]).astype(np.float32)
        angle = np.arctan2(near_y - centre[1], near_x - centre[0])
        ball = np.broadcast_to(np.array([0.76, 0.70, 0.66], np.float32), (*distance.shape, 3))
        # The eyeball is darker and redder towards the corners.
        away = np.clip((distance - 0.5) / 1.1, 0, 1)
        ball = ball * (1.0 - 0.45 * away**2)[..., np.newaxis]
        ball = darkened(ball, np.array([1.0, 0.7, 0.66], np.float32), 0.6 * away**3)
        fibres = 1.0 + 0.18 * np.sin(angle * 37 + 2 * np.sin(angle * 11)) * (distance < _IRIS_RADIUS_CM)
        glow = 0.75 + 0.7 * np.clip(distance / _IRIS_RADIUS_CM, 0, 1) * (near_y < centre[1] + 0.1)
        iris = person.iris * (fibres * glow)[..., np.newaxis].astype(np.float32)
        rim = np.clip((distance - 0.78 * _IRIS_RADIUS_CM) / (0.22 * _IRIS_RADIUS_CM), 0, 1)
        iris = mixed(iris, person.iris * np.float32(0.2), 0.8 * rim)
        ball = mixed(ball, iris, _disc(distance, _IRIS_RADIUS_CM, 0.05))
        ball = mixed(ball, lash, _disc(distance, 0.26, 0.03))
        # The shadow of the upper lid on the eyeball.
        shadow = _blur(_stroked([lid], 0.3), 0.1)[visible]
        ball = darkened(ball, 0.22, 0.85 * np.clip(shadow * 1.1, 0, 1))
        glint = np.hypot(near_x - centre[0] + 0.19, near_y - centre[1] - 0.17).astype(np.float32)
        ball = mixed(ball, np.array([1.0, 1.0, 1.0], np.float32), _disc(glint, 0.1, 0.05))
        mixed(albedo[visible], ball, opening[visible])
        # The caruncle, the wet rim of the lower lid, and the lashes.
        inner = span[1]
        outwards = np.sign(inner[0]) * np.array([1.0, 0.0])
        caruncle = _spot(inner + 0.12 * outwards, 0.12, 0.08) * opening
        albedo = mixed(albedo, np.array([0.42, 0.2, 0.18], np.float32), 0.8 * caruncle)
        rim_line = _blur(_stroked([lower_lid[:-4]], 0.06), 0.03)
        albedo = darkened(albedo, np.array([0.75, 0.5, 0.48], np.float32), 0.75 * rim_line)
        raised = lid + np.array([0.0, 0.035])
        upper_line = _blur(_stroked([raised[2:-5]], 0.11), 0.03)
        albedo = mixed(albedo, lash, 0.88 * upper_line)
        outer = _blur(_stroked([raised[:22]], 0.15), 0.04)
        albedo = mixed(albedo, lash, 0.6 * outer)
        lower_line = _blur(_stroked([lower_lid[4:34] - [0.0, 0.03]], 0.045), 0.035)
        albedo = mixed(albedo, lash, 0.4 * lower_line)
    return albedo, both
