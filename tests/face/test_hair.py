from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest
from enclosed import enclosed
from numpy.typing import NDArray

from emulator.face.appearance import HairLength, HairTexture
from emulator.face.canonical import canonical_mesh
from emulator.face.complete_head import CompleteHead, complete_head
from emulator.face.hair import HairStyle, hair_cards, hair_volume, strand_texture
from emulator.face.hair.texture import COLUMNS
from emulator.face.identity import IDENTITY_COUNT, mesh
from emulator.face.landmarks import CHIN_TIP, FACE_OVAL
from emulator.face.mesh import Mesh
from emulator.face.pose import Pose, rotation_matrix
from emulator.face.rasterize import rasterize
from emulator.face.types import Points3
from emulator.face.unfolding import unfolded

LENGTHS: tuple[HairLength, ...] = ("short", "long", "ponytail")
TEXTURES: tuple[HairTexture, ...] = ("straight", "wavy")
STYLES = [HairStyle(*each) for each in product(LENGTHS, TEXTURES)]
AVERAGE, PERSON = 0, 1

every_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: f"{style.length}-{style.texture}")


@cache
def head(person: int) -> CompleteHead:
    numbers = 0.8 * np.random.default_rng(3).standard_normal(IDENTITY_COUNT)
    return complete_head(unfolded(mesh(numbers).vertices if person else canonical_mesh().vertices))


@cache
def cards(style: HairStyle, person: int = AVERAGE) -> tuple[Mesh, Points3]:
    return hair_cards(head(person), style)


@cache
def volume(style: HairStyle, person: int = AVERAGE) -> tuple[Mesh, Points3]:
    return hair_volume(head(person), style)


def inside_head(points: Points3, person: int = AVERAGE) -> NDArray[np.bool_]:
    skin = head(person).part("skin")
    return enclosed(points, skin.vertices, skin.triangles)


def covered(body: Mesh, points: Points3, pose: Pose) -> NDArray[np.bool_]:
    """Return which points (N,) a camera does not see behind ``body``, if the head has this pose."""
    rotation = rotation_matrix(pose)
    scale, size = 6.0, 360
    seen, hair = (
        (each @ rotation.T * (1, -1, -1) * scale) + (size / 2, size / 2, 0)
        for each in (points, body.vertices)
    )
    depth = rasterize(hair, body.triangles, size, size).depth
    column, row = np.rint(seen[:, :2]).astype(int).T
    hidden: NDArray[np.bool_] = depth[row, column] < seen[:, 2]
    return hidden


@every_style
def test_cards_have_the_documented_number_of_vertices_and_none_is_in_the_head(style: HairStyle) -> None:
    mesh, normals = cards(style)
    assert 15_000 <= len(mesh.vertices) <= 25_000
    assert not inside_head(mesh.vertices).any()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)
    assert mesh.triangles.min() == 0
    assert np.array_equal(np.unique(mesh.triangles), np.arange(len(mesh.vertices)))


@every_style
def test_a_volume_is_watertight_with_the_documented_number_of_vertices_outside_the_head(
    style: HairStyle,
) -> None:
    mesh, normals = volume(style)
    assert 10_000 <= len(mesh.vertices) <= 20_000
    assert not inside_head(mesh.vertices).any()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)
    ends = np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]], mesh.triangles[:, [2, 0]]])
    # Each directed edge occurs once, and so does its reverse.
    edges = {(one, other) for one, other in ends.tolist()}
    assert len(edges) == len(ends)
    assert edges == {(other, one) for one, other in edges}
    corners = mesh.vertices[mesh.triangles]
    signed = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert signed > 100.0


@pytest.mark.parametrize("style", [STYLES[0], STYLES[3]], ids=["short", "long"])
def test_cards_fit_another_head(style: HairStyle) -> None:
    made, _ = cards(style, PERSON)
    assert 15_000 <= len(made.vertices) <= 25_000
    assert not inside_head(made.vertices, PERSON).any()


def test_a_volume_fits_another_head() -> None:
    body, _ = volume(STYLES[2], PERSON)
    assert 10_000 <= len(body.vertices) <= 20_000
    assert not inside_head(body.vertices, PERSON).any()


@every_style
def test_hair_covers_the_scalp_and_leaves_the_face_free(style: HairStyle) -> None:
    skin = head(AVERAGE).part("skin").vertices
    scalp = skin[(skin[:, 1] > 9.8) | ((skin[:, 1] > 1.0) & (skin[:, 2] < -8.0))]
    landmarks = head(AVERAGE).landmarks()
    face = landmarks[np.setdiff1d(np.arange(len(landmarks)), FACE_OVAL)]
    for body, _ in (cards(style), volume(style)):
        from_above = covered(body, scalp[scalp[:, 1] > 9.8], Pose(0, -90, 0))
        from_behind = covered(body, scalp[scalp[:, 2] < -8.0], Pose(180, 0, 0))
        assert from_above.all()
        assert from_behind.all()
        assert not covered(body, face, Pose(0, 0, 0)).any()


def test_the_style_decides_where_hair_is() -> None:
    chin = head(AVERAGE).landmarks()[CHIN_TIP, 1]
    ears = head(AVERAGE).mesh.vertices
    ears = ears[np.abs(ears[:, 0]) > 8.2]
    for kind in (cards, volume):
        low = {}
        for style in STYLES:
            body, _ = kind(style)
            below = body.vertices[body.vertices[:, 1] < chin - 2.0]
            low[style.length] = below
            hidden = covered(body, ears[ears[:, 0] > 0], Pose(-90, 0, 0))
            assert hidden.all() if style.length == "long" else hidden.mean() < 0.3
        assert len(low["short"]) == 0
        assert low["long"][:, 0].min() < -5.0
        assert low["long"][:, 0].max() > 5.0
        assert np.abs(low["ponytail"][:, 0]).max() < 4.5
        assert low["ponytail"][:, 2].max() < -9.0


@pytest.mark.parametrize("length", LENGTHS)
def test_wavy_hair_bends_more_than_straight_hair(length: str) -> None:
    bends = []
    for style in STYLES:
        if style.length == length:
            # The strands follow the covers and, with a ponytail, come before the tail.
            rows, knots = {"short": (6000, 9), "long": (6840, 19), "ponytail": (16_500, 14)}[length]
            middle = cards(style)[0].vertices[rows:].reshape(-1, knots, 3, 3)[:, :, 1]
            steps = np.diff(middle, axis=1)
            steps /= np.linalg.norm(steps, axis=2, keepdims=True)
            bends.append(np.degrees(np.arccos((steps[:, 1:] * steps[:, :-1]).sum(axis=2).clip(-1, 1))).mean())
    assert bends[1] > 1.2 * bends[0]


def test_the_same_head_and_style_give_the_same_hair() -> None:
    for make in (hair_cards, hair_volume):
        (first, normals), (second, again) = (make(head(AVERAGE), STYLES[0]) for _ in range(2))
        assert np.array_equal(first.vertices, second.vertices)
        assert np.array_equal(first.triangles, second.triangles)
        assert np.array_equal(first.uv, second.uv)
        assert np.array_equal(normals, again)


def test_each_card_uses_one_column_of_the_texture() -> None:
    mesh, _ = cards(STYLES[0])
    column = np.floor(mesh.uv[:, 0] * COLUMNS)
    assert (column[mesh.triangles] == column[mesh.triangles[:, :1]]).all()
    assert set(column.tolist()) == set(range(COLUMNS))
    assert mesh.uv.min() > 0.0
    assert mesh.uv.max() < 1.0


def test_the_first_column_of_the_texture_is_dense_and_the_others_have_gaps() -> None:
    texture = strand_texture()
    opaque = np.split(texture[64:320, :, 1] >= 128, COLUMNS, axis=1)
    shares = [part[:, 4:-4].mean() for part in opaque]
    assert shares[0] > 0.95
    assert all(0.4 < share < 0.95 for share in shares[1:])
    # The tips are thinner than the middle.
    assert (texture[-16:, :, 1] >= 128).mean() < 0.2
