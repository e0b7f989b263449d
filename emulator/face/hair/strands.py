"""Strands of hair that grow from the scalp, follow the head and fall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emulator.face.appearance import HairLength, HairTexture
from emulator.face.hair.scalp import Scalp, out_of_face, scalp_roots
from emulator.face.types import Points3

Floats: TypeAlias = NDArray[np.float64]

BASE_CM: Final = 0.12
"""Smallest distance of the strands from the skin."""

# Where the hair of a ponytail is tied.
_TIE: Final = np.array([0.0, 4.5, -14.0])

# Partings of long and of short hair, in centimetres to the person's left.
_LONG_PARTING, _SHORT_PARTING = 0.7, 3.2

# Lengths of the steps in which strands grow.
_SHORTEST_STEP_CM, _LONGEST_STEP_CM, _MOST_STEPS = 0.2, 0.5, 60

# Smallest distance of strands from the border of the face, and of short or tied strands from the ears.
_OFF_FACE_CM, _OFF_EAR_CM = 0.15, 0.45

# Strands begin at this distance before their roots, so that strands from both sides of a parting overlap.
_COVER_BEGIN_CM, _BEGIN_CM = 1.5, 0.5

# How much a strand rises from the skin at its root: the share of the normal in its direction.
_RISE: Final = {"short": 0.35, "long": 0.35, "ponytail": 0.1}

# The strands that cover the scalp deviate from the combed direction by this standard deviation, so that they
# leave no holes.
_COVER_TURN_DEG = 22.0

# Waves: wavelength and amplitude in centimetres, and the distance from the root where they are full.
_WAVES: Final = {"short": (3.2, 0.3, 1.5), "long": (7.0, 0.6, 8.0), "ponytail": (5.0, 0.12, 5.0)}
_TAIL_WAVES: Final = (5.2, 0.55, 6.0)

_COVER_WIDTH_CM = 2.6
_WIDTH_CM: Final = {"short": 1.1, "long": 2.1, "ponytail": 1.7}

# Standard deviations of the angle between the strands' flat sides and the skin.
_COVER_TILT_DEG, _TILT_DEG, _TAIL_TILT_DEG = 3.0, 14.0, 60.0

_COVER_SEED, _STRAND_SEED, _TAIL_SEED = 11, 12, 13


@dataclass(frozen=True)
class HairStyle:
    """The length and the texture of hair."""

    length: HairLength
    texture: HairTexture


@dataclass(frozen=True, eq=False)
class Strands:
    """Centre lines of N strands, in the frame of the average head.

    Attributes
    ----------
    points : (N, K, 3) float64
        From the root to the tip.
    width : (N,) float64
        Width of each strand in centimetres.
    clearance : (N, K) float64
        Least distance of each point from the skin, in centimetres.
    tilt_deg : float
        Standard deviation of the angle between the strands' flat sides and the skin.
    """

    points: Floats
    width: Floats
    clearance: Floats
    tilt_deg: float


def grow(scalp: Scalp, style: HairStyle, count: int, knots: int, *, is_cover: bool) -> Strands:
    """Return ``count`` strands with ``knots`` points each.

    Parameters
    ----------
    scalp : Scalp
    style : HairStyle
    count, knots : int
    is_cover : bool
        Whether these are the short, wide strands that lie on the scalp and cover it.
    """
    random = np.random.default_rng(_COVER_SEED if is_cover else _STRAND_SEED)
    roots, normals = scalp.place(scalp_roots(count))
    noise = np.clip(random.standard_normal((count, 4)), -2.0, 2.0)
    lengths = _lengths(style, roots, noise[:, 0], is_cover=is_cover)
    lift = np.full(count, BASE_CM) if is_cover else _lift(style, roots, random.random(count))
    path, clearance = _grown(scalp, style, roots, normals, noise, lengths, lift, is_cover=is_cover)
    points, clearance = _resampled(path, clearance, lengths, knots, style)
    if style.texture == "wavy" and not is_cover:
        waves = _waves(points, _WAVES[style.length], random)
        phase = 0.35 * roots[:, 1] + 0.5 * np.abs(roots[:, 0])
        points = _waved(scalp, points, clearance, waves, phase)
    width = (_COVER_WIDTH_CM if is_cover else _WIDTH_CM[style.length]) * (1.0 + 0.15 * noise[:, 3])
    return Strands(points, width, clearance, _COVER_TILT_DEG if is_cover else _TILT_DEG)


def tail(style: HairStyle, count: int, knots: int) -> Strands:
    """Return the strands of the tail of a ponytail: an arch backwards, and down."""
    random = np.random.default_rng(_TAIL_SEED)
    radius, angle = 1.3 * np.sqrt(random.random(count)), 2 * np.pi * random.random(count)
    aside, above = (radius * np.cos(angle))[:, None], (radius * np.sin(angle))[:, None]
    length = 20.0 + 3.0 * random.random(count)
    arc = np.linspace(0.0, 1.0, knots) * length[:, None]
    back = 2.6 * (1.0 - np.exp(-arc / 2.4)) * (1.0 + 0.35 * above)
    down = np.maximum(arc - 1.6 * (1.0 - np.exp(-arc / 1.6)), 0.0)
    # The tail is thin at the tie, wide below it, and thin at its end.
    share = np.clip(arc / 22.0, 0.0, 1.0)
    thick = (1.0 + 1.1 * np.sin(np.pi * share**0.7) - 0.6 * share**2) * (0.45 + 0.55 * _smooth(arc / 3.0))
    x = _TIE[0] + aside * thick
    y = _TIE[1] - down + 0.75 * above * thick * np.exp(-arc / 5.0)
    z = _TIE[2] + 0.6 - back - 0.55 * above * thick * (1.0 - np.exp(-arc / 4.0))
    points = np.stack([x, y, z], axis=2)
    if style.texture == "wavy":
        size, phase = _waves(points, _TAIL_WAVES, random)
        points[:, :, 0] += size * np.sin(phase)
        points[:, :, 2] += 0.5 * size * np.cos(phase)
    width = 0.9 + 0.4 * random.random(count)
    return Strands(points, width, np.full(points.shape[:2], BASE_CM), _TAIL_TILT_DEG)


def frames(scalp: Scalp, points: Floats) -> tuple[Floats, Floats]:
    """Return the unit tangents (N, K, 3) of strands, and unit vectors across them that point outwards."""
    along = _unit(np.gradient(points, axis=1))
    flat = points.reshape(-1, 3)
    above, normals = scalp.distance(flat)
    # Far from the head, its normals change abruptly. There, use the direction away from a vertical axis.
    radial = flat * (1.0, 0.0, 1.0) + (0.0, 0.0, 4.5)
    share = _smooth((above - 0.8) / 2.0)[:, None]
    outward = _unit((1.0 - share) * normals + share * _unit(radial)).reshape(points.shape)
    for _ in range(2):
        outward[:, 1:-1] = (outward[:, :-2] + outward[:, 1:-1] + outward[:, 2:]) / 3
    return along, _unit(_tangent(outward, along))


def over_ears(scalp: Scalp, points: Points3, clearance: Floats) -> Points3:
    """Return ``points`` (N, 3), moved out of a smooth bump around each ear, so that hair slides over it."""
    moved = points.copy()
    for ear in scalp.ears:
        low, high = ear.min(axis=0), ear.max(axis=0)
        side = np.sign(low[0])
        middle, radius = (low + high) / 2, (high - low) / 2 + (0.0, 1.6, 1.6)
        base = np.abs(ear[:, 0]).min() - 0.6
        height = np.abs(ear[:, 0]).max() + 0.1 + clearance - base
        square = (((points - middle) / radius)[:, 1:] ** 2).sum(axis=1)
        least = base + height * np.clip(1.0 - square, 0.0, 1.0) ** 0.6
        short = (square < 1.0) & (side * moved[:, 0] > 0.0) & (side * moved[:, 0] < least)
        moved[short, 0] = side * least[short]
    return moved


def _grown(
    scalp: Scalp,
    style: HairStyle,
    roots: Points3,
    normals: Points3,
    noise: Floats,
    lengths: Floats,
    lift: Floats,
    *,
    is_cover: bool,
) -> tuple[Floats, Floats]:
    """Return the paths (N, S, 3) of strands that grow in equal steps, and the clearance (N, S) on them."""
    longest = float(lengths.max())
    step = float(np.clip(longest / _MOST_STEPS, _SHORTEST_STEP_CM, _LONGEST_STEP_CM))
    combed = _unit(_tangent(_combed(style, roots, roots, noise), normals))
    begin = roots - (_COVER_BEGIN_CM if is_cover else _BEGIN_CM) * combed
    position = out_of_face(scalp.push_out(begin, np.full(len(roots), 0.06)), _OFF_FACE_CM)
    direction = _unit(combed + (0.05 if is_cover else _RISE[style.length]) * normals)
    turn = np.radians(_COVER_TURN_DEG) * noise[:, 1:2] * is_cover
    path, clearances = [position], [np.full(len(roots), BASE_CM)]
    for number in range(1, int(np.ceil(longest / step)) + 1):
        rise = _smooth(number * step / (1.6 if style.length == "short" else 2.5))
        clearance = BASE_CM + (lift - BASE_CM) * rise
        above, normals = scalp.distance(position, ears=False)
        combed = _combed(style, position, roots, noise)
        combed = _unit(np.where((above < clearance + 0.6)[:, None], _tangent(combed, normals), combed))
        combed = np.cos(turn) * combed + np.sin(turn) * np.cross(normals, combed)
        position = position + step * _unit(0.55 * direction + 0.45 * combed)
        if style.length == "long":
            position = over_ears(scalp, position, clearance)
        else:
            position = scalp.beside_ears(position, _OFF_EAR_CM)
        position = _held_down(scalp, style, position, clearance)
        position = scalp.push_out(position, clearance, ears=False)
        position = out_of_face(position, _OFF_FACE_CM)
        direction = _unit(position - path[-1])
        path.append(position)
        clearances.append(clearance)
    return np.stack(path, axis=1), np.stack(clearances, axis=1)


def _held_down(scalp: Scalp, style: HairStyle, points: Points3, clearance: Floats) -> Points3:
    """Return ``points`` (N, 3), drawn to the skull where hair lies on it."""
    above, normals = scalp.distance(points, ears=False)
    share = _smooth((points[:, 1] - 3.5) / 3.0) if style.length == "long" else np.ones(len(points))
    moved: Points3 = points - (0.5 * share * np.maximum(above - clearance, 0.0))[:, None] * normals
    return moved


def _lengths(style: HairStyle, roots: Points3, noise: Floats, *, is_cover: bool) -> Floats:
    """Return the lengths (N,) of strands in centimetres."""
    height = roots[:, 1]
    if style.length == "short":
        usual = 2.3 + 3.6 * _smooth((height + 1.0) / 10.0)
        usual = 0.3 * usual + 2.2 if is_cover else usual
    elif is_cover:
        usual = np.full(len(roots), 5.0 if style.length == "long" else 4.5)
    elif style.length == "ponytail":
        # Long enough for every strand. `_resampled` ends the strands where they are tied.
        return np.full(len(roots), 1.35 * float(np.linalg.norm(roots - _TIE, axis=1).max()))
    else:
        # The tips are at about the same height, 12 cm below the chin.
        usual = height + 21.0 + 0.28 * np.hypot(roots[:, 0], roots[:, 2] + 4.0)
    return usual * (1.0 + 0.07 * noise)


def _lift(style: HairStyle, roots: Points3, chance: Floats) -> Floats:
    """Return how far (N,) strands rise from the skin. Strands with higher roots lie on top of the others."""
    height = _smooth((roots[:, 1] + 6.0) / 18.0)
    if style.length == "short":
        front = _smooth((roots[:, 2] + 1.0) / 6.0) * _smooth((roots[:, 1] - 6.0) / 4.0)
        lift = 0.18 + 0.55 * height * chance + 0.35 * height**2 + 0.7 * front * (0.4 + 0.6 * chance)
    elif style.length == "ponytail":
        lift = 0.15 + 0.25 * height * chance + 0.15 * height
    else:
        front = _smooth((roots[:, 2] - 1.0) / 5.0)
        lift = 0.2 + 0.5 * height + (0.65 + 0.35 * front) * chance * height
    return lift * (1.35 if style.texture == "wavy" else 1.0)


def _combed(style: HairStyle, points: Points3, roots: Points3, noise: Floats) -> Points3:
    """Return the directions (N, 3) into which hair with these roots is combed at ``points`` (N, 3)."""
    x, y, z = points.T
    zero = np.zeros_like(x)
    if style.length == "ponytail":
        to_tie = _unit(_TIE + np.stack([0.5 * noise[:, 1], 0.5 * noise[:, 2], zero], axis=1) - points)
        # Hair from the temples goes above the ears first.
        low = (_smooth((4.5 - y) / 2.5) * _smooth((z + 6.5) / 2.5))[:, None]
        return (1.0 - low) * to_tie + low * _unit(np.stack([zero, 5.0 - y, -7.0 - z], axis=1))
    if style.length == "long":
        side = np.where(roots[:, 0] > _LONG_PARTING + 0.15 * noise[:, 1], 1.0, -1.0)
        top, crown = _smooth((y - 4.0) / 7.0), _smooth((-z - 4.0) / 5.0)
        aside = 1.1 * side * top * (1.0 - 0.85 * crown) + 0.05 * noise[:, 1]
        back = 0.35 * _smooth((z + 3.0) / 5.0) + 0.9 * crown * top
        return np.stack([aside, -0.35 - 0.65 * (1.0 - top), -back + 0.12 * noise[:, 2]], axis=1)
    side = np.where(roots[:, 0] > _SHORT_PARTING + 0.2 * noise[:, 1], 1.0, -1.0)
    top, crown, front = _smooth((y - 5.0) / 5.0), _smooth((-z - 3.0) / 6.0), _smooth((z - 1.0) / 4.0)
    aside = side * top * (0.8 - 0.55 * crown) + 0.12 * noise[:, 1]
    up = 0.5 * front * top - 0.2 * top - (1.0 - top)
    back = 0.45 + 0.35 * top - 0.35 * crown
    return np.stack([aside, up, -back + 0.12 * noise[:, 2]], axis=1)


def _waves(
    points: Floats, waves: tuple[float, float, float], random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the amplitude and the phase (N, K) of waves along strands."""
    wavelength, amplitude, full = waves
    pieces = np.linalg.norm(np.diff(points, axis=1), axis=2).cumsum(axis=1)
    arc = np.pad(pieces, ((0, 0), (1, 0)))
    phase = 2 * np.pi * arc / wavelength + random.normal(0.0, 0.45, (len(points), 1))
    return amplitude * _smooth(arc / full) * random.uniform(0.7, 1.3, (len(points), 1)), phase


def _waved(
    scalp: Scalp, points: Floats, clearance: Floats, waves: tuple[Floats, Floats], phase: Floats
) -> Floats:
    """Return strands with waves. Strands with similar ``phase`` (N,) have parallel waves."""
    size, along_strand = waves
    turn = along_strand + phase[:, None]
    along, outward = frames(scalp, points)
    across = _unit(np.cross(along, outward))
    waved = points + size[..., None] * (
        np.sin(turn)[..., None] * across + 0.6 * (1.0 + np.cos(turn))[..., None] * outward
    )
    flat = out_of_face(waved.reshape(-1, 3), _OFF_FACE_CM)
    return scalp.push_out(flat, clearance.reshape(-1)).reshape(points.shape)


def _resampled(
    path: Floats, clearance: Floats, lengths: Floats, knots: int, style: HairStyle
) -> tuple[Floats, Floats]:
    """Return paths (N, knots, 3) and their clearances, in equal steps from the root to the tip."""
    pieces = np.linalg.norm(np.diff(path, axis=1), axis=2)
    arc = np.pad(pieces.cumsum(axis=1), ((0, 0), (1, 0)))
    ends = np.minimum(lengths, arc[:, -1])
    if style.length == "ponytail":
        nearest = np.linalg.norm(path - _TIE, axis=2).argmin(axis=1)
        ends = np.minimum(ends, arc[np.arange(len(path)), nearest])
    values = np.concatenate([path, clearance[..., None]], axis=2)
    found = np.empty((len(path), knots, 4))
    for strand, (line, at, end) in enumerate(zip(values, arc, ends.tolist(), strict=True)):
        wanted = np.linspace(0.0, end, knots)
        for column in range(4):
            found[strand, :, column] = np.interp(wanted, at, line[:, column])
    return found[..., :3], found[..., 3]


def _tangent(vectors: Floats, normals: Floats) -> Floats:
    """Return ``vectors`` without their parts along unit ``normals``."""
    result: Floats = vectors - (vectors * normals).sum(axis=-1, keepdims=True) * normals
    return result


def _unit(vectors: Floats) -> Floats:
    result: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return result


def _smooth(share: Floats | float) -> Floats:
    """Return a smooth step: 0 below 0, 1 above 1."""
    clipped = np.clip(share, 0.0, 1.0)
    result: Floats = np.asarray(clipped * clipped * (3.0 - 2.0 * clipped))
    return result
