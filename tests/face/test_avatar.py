from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

from emulator.face.avatar import VERTEX_COUNT, avatar, face_of, posed
from emulator.face.complete_head import CompleteHead, complete_head, complete_head_data
from emulator.face.glb import Part
from emulator.face.head import head_mesh
from emulator.face.head_layout import skin_layout
from emulator.face.identity import from_standardized, mesh, standardized
from emulator.face.landmarks import (
    CHIN,
    LEFT_CHEEK,
    LEFT_EYEBROW,
    LEFT_EYEBROW_UPPER,
    LEFT_LOWER_LID,
    LEFT_NOSE_WING,
    LEFT_UPPER_LID,
    LIPS_OUTER,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    MIRROR,
    SURFACE_COUNT,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)
from emulator.face.mesh import Mesh, boundary_edges
from emulator.face.rasterize import render_mesh
from emulator.face.types import Image, Points3, Triangles
from emulator.face.unfolding import unfolded
from laboratory.crossings import crossing_triangles

MIRRORED = list(MIRROR[:SURFACE_COUNT])
X, Y, Z = np.eye(3)
LEFT_CORNER = (291,)
LOWER_LIP, UPPER_LIP = LOWER_LIP_OUTER[3:-3], UPPER_LIP_OUTER[3:-3]

# For each face unit: landmarks, the direction in which they move, and the least mean motion in centimetres.
# The person's left is at positive x. Units of the right side are the mirror images.
MOTIONS = [
    ("browDownLeft", LEFT_EYEBROW, -Y, 0.3),
    ("browInnerUp", (107, 336, 55, 285), Y, 0.3),
    ("browOuterUpLeft", LEFT_EYEBROW_UPPER[:2], Y, 0.3),
    ("cheekPuff", LEFT_CHEEK, X + 3 * Z, 0.3),
    ("cheekSquintLeft", LEFT_CHEEK, Y, 0.3),
    ("eyeBlinkLeft", LEFT_UPPER_LID[2:-2], -Y, 0.4),
    ("eyeSquintLeft", LEFT_LOWER_LID[2:-2], Y, 0.15),
    ("eyeWideLeft", LEFT_UPPER_LID[2:-2], Y, 0.2),
    ("jawForward", CHIN, Z, 0.5),
    ("jawLeft", CHIN, X, 0.4),
    ("jawOpen", CHIN, -Y, 1.5),
    ("jawOpen", LOWER_LIP, -Y, 2.0),
    ("mouthClose", LOWER_LIP, Y, 1.5),
    ("mouthFunnel", LIPS_OUTER, Z, 0.1),
    ("mouthFunnel", LEFT_CORNER, -X, 0.2),
    ("mouthFunnel", LOWER_LIP, -Y, 0.15),
    ("mouthPucker", LIPS_OUTER, Z, 0.3),
    ("mouthPucker", LEFT_CORNER, -X, 0.3),
    ("mouthLeft", LIPS_OUTER, X, 0.4),
    ("mouthSmileLeft", LEFT_CORNER, X + Y, 0.8),
    ("mouthFrownLeft", LEFT_CORNER, -Y, 0.3),
    ("mouthDimpleLeft", LEFT_CORNER, X - Z, 0.4),
    ("mouthStretchLeft", LEFT_CORNER, X, 0.3),
    ("mouthRollLower", LOWER_LIP, Y, 0.2),
    ("mouthRollLower", (14,), -Z, 0.2),
    ("mouthRollUpper", UPPER_LIP, -Y - Z, 0.3),
    ("mouthShrugLower", LOWER_LIP, Y, 0.2),
    ("mouthShrugUpper", UPPER_LIP, Y, 0.2),
    ("mouthPressLeft", (405, 321, 375), Y, 0.1),
    ("mouthLowerDownLeft", (405, 321, 375), -Y, 0.15),
    ("mouthUpperUpLeft", (269, 270, 409), Y, 0.2),
    ("noseSneerLeft", LEFT_NOSE_WING, Y, 0.15),
]  # fmt: skip

# The direction in which the front of an eyeball moves.
LOOKS = {"Down": -Y, "Up": Y, "In": -X, "Out": X}


@cache
def picture(kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(np.full((4, 4, 3), 128, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


@cache
def numbers(seed: int = 0) -> NDArray[np.float64]:
    drawn: NDArray[np.float64] = np.random.default_rng(seed).normal(size=80) * np.repeat([1.0, 0.5], [16, 64])
    return drawn


@cache
def parts(seed: int = 0) -> tuple[Part, ...]:
    return tuple(avatar(numbers(seed), picture(), has_face_units=True))


@cache
def head() -> CompleteHead:
    return complete_head(face_of(numbers()))


def places(vertices: Points3) -> Points3:
    data = complete_head_data()
    found: Points3 = (vertices[data.corners] * data.weights[:, :, None]).sum(axis=1)
    return found


def motion(name: str) -> Points3:
    """Return the motion (468, 3) of the landmarks for a weight of 1."""
    return places(head().posed({name: 1.0}) - head().mesh.vertices)


def other_side(name: str) -> str:
    return name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")


def test_the_head_has_5255_vertices_in_seven_parts() -> None:
    sizes = {part.name: len(part.vertices) for part in parts()}
    assert sizes == {
        "skin": 3804, "mouth": 497, "right_eye": 296, "left_eye": 296,
        "upper_teeth": 68, "lower_teeth": 68, "tongue": 226,
    }  # fmt: skip
    assert sum(sizes.values()) == VERTEX_COUNT == 5255
    for part in parts():
        assert sorted(np.unique(part.triangles)) == list(range(len(part.vertices)))
        np.testing.assert_allclose(np.linalg.norm(part.normals, axis=1), 1.0, atol=1e-9)


def test_skin_and_mouth_are_the_skin_of_the_complete_head() -> None:
    data = complete_head_data()
    triangles = data.mesh.triangles[data.part_triangles["skin"]]
    for part, inside in zip(parts()[:2], (False, True), strict=True):
        chosen = triangles[skin_layout().mouth == inside]
        np.testing.assert_array_equal(part.vertices[part.triangles], head().mesh.vertices[chosen])
    # Only the edge of the inside of the mouth occurs twice.
    assert len(boundary_edges(parts()[1].triangles)) == len(boundary_edges(parts()[0].triangles)) == 58


def test_the_face_of_the_numbers_is_that_of_the_coefficients() -> None:
    coefficients = np.random.default_rng(1).normal(size=80)
    recovered = standardized(coefficients)
    np.testing.assert_allclose(from_standardized(recovered), coefficients, rtol=1e-14)
    np.testing.assert_allclose(face_of(recovered), unfolded(mesh(coefficients).vertices), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_landmarks_are_those_of_the_face(seed: int) -> None:
    face = face_of(numbers(seed))
    off = np.linalg.norm(complete_head(face).landmarks() - face, axis=1)
    assert np.median(off) < 0.02
    assert off.max() < 0.2


@pytest.mark.parametrize("number", [-100.0, 100.0])
def test_extreme_numbers_give_a_finite_head(number: float) -> None:
    extreme = number * np.where(np.arange(80) % 2, 1.0, -1.0)
    assert all(np.isfinite(part.vertices).all() for part in avatar(extreme, picture(), has_face_units=True))


def test_without_face_units_there_are_no_morph_targets() -> None:
    plain = avatar(numbers(), picture(), has_face_units=False)
    assert not any(part.morphs for part in plain)
    for part, other in zip(plain, parts(), strict=True):
        np.testing.assert_array_equal(part.vertices, other.vertices)


def test_other_numbers_and_textures_are_refused() -> None:
    with pytest.raises(ValueError, match="numbers"):
        avatar(np.zeros(79), picture(), has_face_units=False)


def test_morph_targets_of_the_skin_are_the_face_units() -> None:
    data = complete_head_data()
    triangles = data.mesh.triangles[data.part_triangles["skin"]]
    used = [np.unique(triangles[skin_layout().mouth == inside]) for inside in (False, True)]
    for name in data.units:
        moved = head().posed({name: 1.0})
        for part, vertices, rows in zip(parts()[:2], posed(parts()[:2], {name: 1.0}), used, strict=True):
            np.testing.assert_allclose(vertices, moved[rows], atol=1e-9, err_msg=part.name)
    assert set(data.units) == {name for part in parts() for name in part.morphs}


@pytest.mark.parametrize(("name", "landmarks", "direction", "least"), MOTIONS)
def test_a_face_unit_moves_what_its_name_says(
    name: str, landmarks: tuple[int, ...], direction: NDArray[np.float64], least: float
) -> None:
    moved = motion(name)
    assert (moved[list(landmarks)] @ direction / np.linalg.norm(direction)).mean() > least
    if name.endswith("Left"):
        mirrored = motion(other_side(name))
        np.testing.assert_allclose(mirrored[MIRRORED] * (-1, 1, 1), moved, atol=0.15)
    else:
        np.testing.assert_allclose(moved[MIRRORED] * (-1, 1, 1), moved, atol=0.15)


def test_every_face_unit_has_a_test_of_its_motion() -> None:
    tested = {name for name, _, _, _ in MOTIONS} | {f"eyeLook{way}Left" for way in LOOKS} | {"tongueOut"}
    tested |= {other_side(name) for name in tested}
    assert tested == set(complete_head_data().units)


@pytest.mark.parametrize("way", LOOKS)
@pytest.mark.parametrize("side", ["Left", "Right"])
def test_a_look_turns_the_eyeball_about_its_centre(way: str, side: str) -> None:
    name = f"eyeLook{way}{side}"
    direction = LOOKS[way] * (1 if side == "Left" else (-1, 1, 1))
    for part, moved in zip(parts(), posed(parts(), {name: 1.0}), strict=True):
        if part.name == f"{side.lower()}_eye":
            # The first vertex is the front.
            assert (moved[0] - part.vertices[0]) @ direction > 0.15
            centre = part.vertices[[0, -1]].mean(axis=0)
            np.testing.assert_allclose(moved[[0, -1]].mean(axis=0), centre, atol=1e-9)
            radii = [np.linalg.norm(vertices - centre, axis=1) for vertices in (part.vertices, moved)]
            np.testing.assert_allclose(radii[1], radii[0], rtol=1e-9)
        elif part.name not in {"skin", "mouth"}:
            np.testing.assert_array_equal(moved, part.vertices)


def test_the_tongue_comes_out_of_the_mouth() -> None:
    (tongue,) = (part for part in parts() if part.name == "tongue")
    (moved,) = posed([tongue], {"tongueOut": 1.0})
    lips = head().landmarks()[list(LIPS_OUTER), 2].max()
    assert tongue.vertices[:, 2].max() < lips < moved[:, 2].max() - 0.3


def test_mouth_close_closes_the_lips_of_an_open_jaw() -> None:
    closed = head().landmarks() + motion("jawOpen") + motion("mouthClose")
    upper, lower = closed[list(UPPER_LIP_INNER), 1], closed[list(LOWER_LIP_INNER), 1]
    assert np.abs(upper - lower).max() < 0.2
    assert (closed[list(CHIN)] - head().landmarks()[list(CHIN)])[:, 1].mean() < -1.0


def region(vertices: Points3, moved: Points3) -> Triangles:
    """Return the triangles of the skin that are near to vertices that move."""
    data = complete_head_data()
    triangles = data.mesh.triangles[data.part_triangles["skin"]]
    moving = (moved != vertices).any(axis=1)
    low, high = moved[moving].min(axis=0) - 0.1, moved[moving].max(axis=0) + 0.1
    corners = moved[triangles]
    near: Triangles = triangles[((corners.max(axis=1) > low) & (corners.min(axis=1) < high)).all(axis=1)]
    return near


# `laboratory.contact` says why these intersect: their lips or the edges of their lids.
CROSSED = {
    "mouthClose", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "eyeBlinkLeft", "eyeSquintLeft",
}  # fmt: skip
MOVING = sorted({name for name, _, _, _ in MOTIONS} - CROSSED)


@pytest.mark.parametrize("name", MOVING)
def test_the_skin_does_not_intersect_itself(name: str) -> None:
    average = complete_head(face_of(np.zeros(80)))
    moved = average.posed({name: 1.0})
    assert len(crossing_triangles(moved, region(average.mesh.vertices, moved))) == 0


def checks() -> Image:
    """Return a texture with a pattern, because a wrong layout would shift it."""
    v, u = np.mgrid[0:256, 0:256]
    pattern: Image = np.stack([u, v, 128 + 127 * np.sin(u / 7) * np.sin(v / 7)], axis=2).astype(np.uint8)
    return pattern


@pytest.mark.parametrize("seed", [0, 1])
def test_the_face_looks_like_the_head_that_the_texture_is_for(seed: int) -> None:
    """The two are compared from the front, in the region of the face."""
    face = face_of(numbers(seed))
    reference = head_mesh(face)
    (part,) = (part for part in parts(seed) if part.name == "skin")
    assert part.uv is not None
    # The reference's corners frame both, so that they are rendered at the same scale.
    frame = np.concatenate([part.vertices, reference.vertices])
    size, uv = 160, np.concatenate([part.uv, reference.uv])
    triangles = (part.triangles, reference.triangles + len(part.vertices))
    pictures = [
        render_mesh(
            Mesh(frame, corners.astype(np.int32), uv, corners.astype(np.int32)), checks(), np.eye(3), size
        )
        for corners in triangles
    ]
    # Shading depends on the normals, so compare the ratio of red to green, which is that of u to v.
    ratio = [each[..., 0] / np.maximum(each[..., 1].astype(np.float64), 1.0) for each in pictures]
    inside = np.abs(np.array(pictures, np.int64) - (236, 238, 241)).max(axis=3).min(axis=0) > 6
    difference = np.abs(np.log(ratio[0][inside] / np.maximum(ratio[1][inside], 1e-6)))
    assert np.median(difference) < 0.02
    assert np.quantile(difference, 0.95) < 0.12


def test_texture_coordinates_are_inside_the_texture_and_symmetric() -> None:
    data, layout = complete_head_data(), skin_layout()
    assert layout.uv.min() >= 0.0
    assert layout.uv.max() <= 1.0
    mirror = data.mirror[data.part_vertices["skin"]]
    inside = np.unique(data.mesh.triangles[data.part_triangles["skin"]][layout.mouth])
    np.testing.assert_array_equal(np.isin(mirror[inside], inside), np.ones(len(inside), np.bool_))
    outside = np.setdiff1d(np.arange(len(mirror)), inside)
    off = np.abs(layout.uv[mirror[outside]] * (-1, 1) + (1, 0) - layout.uv[outside])
    assert np.quantile(off, 0.99) < 0.01


def test_the_landmarks_have_the_coordinates_of_the_texture() -> None:
    data = complete_head_data()
    uv = (skin_layout().uv[data.corners] * data.weights[:, :, None]).sum(axis=1)
    expected = head_mesh(head().landmarks()).uv[:SURFACE_COUNT]
    outside = np.setdiff1d(
        np.arange(SURFACE_COUNT), [*UPPER_LIP_INNER, *LOWER_LIP_INNER, *LEFT_LOWER_LID, *LEFT_UPPER_LID]
    )
    off = np.linalg.norm(uv - expected, axis=1)[outside]
    assert np.median(off) < 0.004
    assert np.quantile(off, 0.95) < 0.02
