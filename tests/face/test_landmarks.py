from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from mediapipe.python.solutions import face_mesh_connections as connections

from emulator.face import landmarks
from emulator.face.canonical import canonical_mesh
from emulator.face.landmarks import (
    FACE_OVAL,
    LANDMARK_COUNT,
    LIPS_INNER,
    LIPS_OUTER,
    MIDLINE,
    MIRROR,
    mirrored_landmarks,
)

GROUPS = {
    name: value
    for name, value in vars(landmarks).items()
    if name.isupper() and isinstance(value, tuple) and name != "MIRROR"
}


def cycle(ring: tuple[int, ...]) -> set[frozenset[int]]:
    return {frozenset(pair) for pair in zip(ring, ring[1:] + ring[:1], strict=True)}


def path(line: tuple[int, ...]) -> set[frozenset[int]]:
    return {frozenset(pair) for pair in pairwise(line)}


def undirected(edges: frozenset[tuple[int, int]]) -> set[frozenset[int]]:
    return {frozenset(edge) for edge in edges}


def test_mirror_is_an_involution() -> None:
    assert len(MIRROR) == LANDMARK_COUNT
    assert [MIRROR[image] for image in MIRROR] == list(range(LANDMARK_COUNT))


@pytest.mark.parametrize("name", GROUPS)
def test_no_group_contains_a_point_twice(name: str) -> None:
    group = GROUPS[name]
    assert len(set(group)) == len(group)
    assert set(group) <= set(range(LANDMARK_COUNT))


@pytest.mark.parametrize("name", [name for name in GROUPS if name.startswith("RIGHT_")])
def test_left_groups_are_the_right_ones_mirrored(name: str) -> None:
    left = GROUPS[name.replace("RIGHT_", "LEFT_")]
    assert tuple(MIRROR[index] for index in GROUPS[name]) == left


@pytest.mark.parametrize(
    "name", ["FACE_OVAL", "LIPS_OUTER", "LIPS_INNER", "NOSE", "NOSE_BASE", "FOREHEAD", "CHIN", "RIGID"]
)
def test_groups_across_the_face_are_their_own_mirror_images(name: str) -> None:
    assert {MIRROR[index] for index in GROUPS[name]} == set(GROUPS[name])


def test_rings_are_the_ones_of_mediapipe() -> None:
    assert cycle(FACE_OVAL) == undirected(connections.FACEMESH_FACE_OVAL)
    assert cycle(LIPS_OUTER) | cycle(LIPS_INNER) == undirected(connections.FACEMESH_LIPS)
    for side in ("RIGHT", "LEFT"):
        assert cycle(GROUPS[f"{side}_EYE"]) == undirected(getattr(connections, f"FACEMESH_{side}_EYE"))
        assert cycle(GROUPS[f"{side}_IRIS"][1:]) == undirected(getattr(connections, f"FACEMESH_{side}_IRIS"))
        assert path(GROUPS[f"{side}_EYEBROW_UPPER"]) | path(GROUPS[f"{side}_EYEBROW_LOWER"]) == undirected(
            getattr(connections, f"FACEMESH_{side}_EYEBROW")
        )


def test_the_persons_right_lies_at_negative_x() -> None:
    vertices = canonical_mesh().vertices
    for name, group in GROUPS.items():
        if name.startswith("RIGHT_") and name not in ("RIGHT_IRIS", "RIGHT_JAW"):
            assert vertices[list(group), 0].max() < 0, name
    assert not vertices[list(MIDLINE), 0].any()


def test_upper_groups_lie_above_lower_ones() -> None:
    height = canonical_mesh().vertices[:, 1]
    for upper, lower in (
        ("UPPER_LIP_INNER", "LOWER_LIP_INNER"),
        ("UPPER_LIP_OUTER", "LOWER_LIP_OUTER"),
        ("RIGHT_UPPER_LID", "RIGHT_LOWER_LID"),
    ):
        assert (height[list(GROUPS[upper][1:-1])] > height[list(GROUPS[lower][1:-1])]).all()
    assert (height[list(GROUPS["RIGHT_EYEBROW_UPPER"])] > height[list(GROUPS["RIGHT_EYEBROW_LOWER"])]).all()


def test_the_tip_of_the_nose_is_nearest_and_the_tip_of_the_chin_lowest() -> None:
    vertices = canonical_mesh().vertices
    assert vertices[:, 2].argmax() == landmarks.NOSE_TIP
    assert vertices[:, 1].argmin() == landmarks.CHIN_TIP


def test_mirroring_landmarks_twice_restores_them() -> None:
    points = np.random.default_rng(0).integers(0, 640, (LANDMARK_COUNT, 3)).astype(np.float64)
    before = points.copy()
    once = mirrored_landmarks(points, 640)
    np.testing.assert_array_equal(points, before)
    assert once[landmarks.LEFT_EYE_OUTER_CORNER, 0] == 639 - points[landmarks.RIGHT_EYE_OUTER_CORNER, 0]
    np.testing.assert_array_equal(mirrored_landmarks(once, 640), points)
