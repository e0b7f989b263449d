from __future__ import annotations

from typing import Any

import numpy as np
import trimesh

from emulator.face.glb import Material, Morph, Part
from emulator.face.portrait import portrait

SIZE = 64
BACKGROUND = (236, 238, 241)


def ball(at: float, color: tuple[float, float, float]) -> Part:
    """Return a ball at a height in centimetres, with a morph target that raises it."""
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=1.0)
    vertices = np.asarray(mesh.vertices, np.float64)
    rise = Morph(np.arange(len(vertices)), np.tile([0.0, 2.0, 0.0], (len(vertices), 1)))
    triangles = np.asarray(mesh.faces, np.int32)
    return Part(
        f"{at}",
        vertices + np.array([0.0, at, 0.0]),
        triangles,
        vertices,
        None,
        Material("m", (*color, 1.0)),
        {"rise": rise},
    )


def middle(parts: list[Part], **options: Any) -> list[tuple[int, ...]]:
    """Return the colours at the middle of the upper and the lower half of a picture of 4 cm."""
    picture = portrait(parts, np.eye(3), SIZE, centre=np.zeros(3), height_cm=4.0, **options)
    assert picture.shape == (SIZE, SIZE, 3)
    return [tuple(picture[row, SIZE // 2].tolist()) for row in (SIZE // 4, 3 * SIZE // 4)]


def test_each_part_has_the_colour_of_its_material() -> None:
    upper, lower = middle([ball(1.0, (1.0, 0.0, 0.0)), ball(-1.0, (0.0, 0.0, 1.0))])
    assert upper[0] > 150
    assert upper[1:] == (0, 0)
    assert lower[2] > 150
    assert lower[:2] == (0, 0)


def test_weights_move_the_parts() -> None:
    upper, lower = middle([ball(-1.0, (0.0, 1.0, 0.0))], weights={"rise": 1.0})
    assert upper[1] > 150
    assert lower == BACKGROUND


def test_by_default_all_parts_are_in_the_picture() -> None:
    picture = portrait([ball(0.0, (1.0, 1.0, 1.0)), ball(30.0, (1.0, 1.0, 1.0))], np.eye(3), SIZE)
    edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (edges == BACKGROUND).all()
    assert (picture != BACKGROUND).any()
