"""Hair as cards: strips of quadrilaterals with a texture of strands."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.face.complete_head import CompleteHead
from emulator.face.hair.scalp import Scalp, out_of_face
from emulator.face.hair.strands import HairStyle, Strands, frames, grow, over_ears, tail
from emulator.face.hair.texture import COLUMNS
from emulator.face.mesh import Mesh
from emulator.face.types import Points2, Points3, Triangles

ACROSS: Final = 3
"""Number of vertices across a card. The middle ones keep wide cards from cutting into the head."""

# Number of cards, and of points along a card: for the cover of the scalp, for the strands, and for a tail.
_COVER: Final = {"short": (400, 5), "long": (380, 6), "ponytail": (380, 5)}
_STRANDS: Final = {"short": (560, 9), "long": (310, 19), "ponytail": (300, 12)}
_TAIL: Final = (110, 14)

# Smallest distances of the vertices from the skin, from the border of the face, and from the ears.
_OFF_SKIN_CM, _OFF_FACE_CM, _OFF_EAR_CM = 0.08, 0.05, 0.15

_CARD_SEED = 20


def hair_cards(head: CompleteHead, style: HairStyle) -> tuple[Mesh, Points3]:
    """Return the cards of the hair of a head in model space, and their normals.

    There are 21,000 to 25,000 vertices. All are outside the head. The texture coordinates refer to
    `emulator.face.hair.texture.strand_texture`.
    """
    scalp = Scalp(head)
    vertices, normals, uv, triangles = [], [], [], []
    start = 0
    for group, (ribbon, outward) in enumerate(card_ribbons(scalp, style)):
        count, knots = ribbon.shape[:2]
        vertices.append(ribbon.reshape(-1, 3))
        normals.append(outward.reshape(-1, 3))
        uv.append(_texture_places(count, knots, group))
        triangles.append(start + _strips(count, knots))
        start += len(vertices[-1])
    joined = np.concatenate(triangles)
    mesh = Mesh(scalp.in_model_space(np.concatenate(vertices)), joined, np.concatenate(uv), joined)
    return mesh, np.concatenate(normals) @ scalp.rotation.T


def card_ribbons(scalp: Scalp, style: HairStyle) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the vertices and the normals (N, K, across, 3) of groups of cards, the cover of the scalp first.

    They are in the frame of the average head.
    """
    groups = [
        grow(scalp, style, *_COVER[style.length], is_cover=True),
        grow(scalp, style, *_STRANDS[style.length], is_cover=False),
    ]
    if style.length == "ponytail":
        groups.append(tail(style, *_TAIL))
    return [_ribbons(scalp, style, strands, _CARD_SEED + group) for group, strands in enumerate(groups)]


def _ribbons(
    scalp: Scalp, style: HairStyle, strands: Strands, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the vertices and the normals (N, K, across, 3) of cards along strands."""
    random = np.random.default_rng(seed)
    points = strands.points
    count, knots, _ = points.shape
    share = np.linspace(0.0, 1.0, knots)
    taper = np.interp(share, (0.0, 0.25, 0.7, 1.0), (0.85, 1.0, 0.9, 0.5))
    half = 0.5 * strands.width[:, None] * taper
    if style.length != "long":
        room = scalp.ear_distance(points.reshape(-1, 3)).reshape(count, knots) - _OFF_EAR_CM
        half = np.clip(half, 0.05, np.maximum(room, 0.05))
    along, outward = frames(scalp, points)
    # Cards lie flat at their roots.
    tilt_deg = np.clip(random.normal(0.0, strands.tilt_deg, (count, 1)), -90.0, 90.0)
    tilt = np.radians(tilt_deg * np.minimum(5.0 * share, 1.0))[..., None]
    across = np.cos(tilt) * np.cross(along, outward) + np.sin(tilt) * outward
    sides = np.linspace(-1.0, 1.0, ACROSS)[:, None]
    ribbon = points[:, :, None] + sides * (half[..., None] * across)[:, :, None]
    flat = out_of_face(ribbon.reshape(-1, 3), _OFF_FACE_CM)
    least = np.repeat(0.85 * strands.clearance, ACROSS, axis=1).reshape(-1)
    if style.length == "long":
        flat = over_ears(scalp, flat, least)
    flat = scalp.push_out(flat, least, ears=style.length == "long")
    flat = scalp.push_out(flat, np.full(len(flat), _OFF_SKIN_CM))
    # With normals that spread across a card, it is lit like a lock of hair.
    normals = outward[:, :, None] + 0.55 * sides * across[:, :, None]
    return flat.reshape(ribbon.shape), normals / np.linalg.norm(normals, axis=3, keepdims=True)


def _texture_places(count: int, knots: int, group: int) -> Points2:
    """Return the texture coordinates of the cards of a group: each uses one column, half of them mirrored."""
    random = np.random.default_rng(_CARD_SEED + group)
    column = np.zeros(count) if group == 0 else random.integers(1, COLUMNS, count).astype(np.float64)
    across = np.linspace(0.02, 0.98, ACROSS)
    mirrored = random.random(count)[:, None] < 0.5
    places = np.empty((count, knots, ACROSS, 2))
    places[..., 0] = ((column[:, None] + np.where(mirrored, across[::-1], across)) / COLUMNS)[:, None]
    places[..., 1] = np.linspace(0.998, 0.002, knots)[:, None]
    return places.reshape(-1, 2)


def _strips(count: int, knots: int) -> Triangles:
    """Return the triangles of ``count`` cards, counter-clockwise as seen from outside."""
    corner = (np.arange(knots - 1)[:, None] * ACROSS + np.arange(ACROSS - 1)).reshape(-1)
    quads = np.stack([corner, corner + 1, corner + ACROSS + 1, corner + ACROSS], axis=1)
    card = quads[:, [0, 1, 3, 1, 2, 3]].reshape(-1, 3)
    first = np.arange(count)[:, None, None] * (knots * ACROSS)
    strips: Triangles = (first + card).reshape(-1, 3).astype(np.int32)
    return strips
