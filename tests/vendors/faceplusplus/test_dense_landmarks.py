from __future__ import annotations

import numpy as np
import pytest
from canonical_landmarks import IRIS_CM, canonical_landmarks
from numpy.typing import NDArray

from emulator.face.feature_curves import Feature, FeatureCurves
from emulator.face.landmarks import (
    FACE_OVAL,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    MIRROR,
    RIGHT_EYE,
    mirrored_landmarks,
)
from emulator.vendors.faceplusplus.dense_landmarks import GROUPS, Group, dense_landmarks

SCALE = 60.0
LANDMARKS = canonical_landmarks(scale=SCALE, origin=(600.0, 700.0))
LANDMARKS[:478] += np.random.default_rng(3).normal(0.0, 2.0, LANDMARKS.shape)
FOUND = dense_landmarks(LANDMARKS)
EYE_DISTANCE = float(np.linalg.norm(LANDMARKS[473, :2] - LANDMARKS[468, :2]))


def run(group: Group, prefix: str) -> NDArray[np.float64]:
    """Return the points of a run, in the order of their numbers."""
    names = [name for name in group if name.rpartition("_")[0] == prefix and name[-1].isdigit()]
    assert names == [f"{prefix}_{number}" for number in range(len(names))]
    return np.array([group[name] for name in names], np.float64)


RUNS = {
    ("face", "face_hairline"): 145,
    ("face", "face_contour_right"): 64,
    ("face", "face_contour_left"): 64,
    ("left_eyebrow", "left_eyebrow"): 64,
    ("right_eyebrow", "right_eyebrow"): 64,
    ("left_eye", "left_eye"): 63,
    ("right_eye", "right_eye"): 63,
    ("left_eye_eyelid", "left_eye_eyelid"): 64,
    ("right_eye_eyelid", "right_eye_eyelid"): 64,
    ("nose", "nose_left"): 63,
    ("nose", "nose_right"): 63,
    ("nose", "nose_midline"): 60,
    ("mouth", "upper_lip"): 64,
    ("mouth", "lower_lip"): 64,
}


def test_the_groups_have_the_documented_names_and_counts() -> None:
    assert {name: len(run(FOUND[name[0]], name[1])) for name in RUNS} == RUNS
    numbered = sum(RUNS.values())
    # Besides the runs, there are two nostrils, two pupils and two radii.
    assert sum(map(len, FOUND.values())) == numbered + 6 == 973 + 2
    assert tuple(FOUND) == GROUPS
    assert all(isinstance(x, int) for point in FOUND["nose"].values() for x in np.ravel(point).tolist())


def test_the_points_lie_on_the_features() -> None:
    curves = FeatureCurves(LANDMARKS[:, :2])
    lines = [curves.polyline(feature) for feature in Feature]
    points = np.concatenate([run(FOUND[group], prefix) for group, prefix in RUNS])
    distance = np.full(len(points), np.inf)
    for line in lines:
        begin, along = line[:-1], np.diff(line, axis=0)
        share = ((points[:, None] - begin) * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-12)
        nearest = begin + np.clip(share, 0.0, 1.0)[:, :, None] * along
        distance = np.minimum(distance, np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1))
    assert distance.mean() < 0.005 * EYE_DISTANCE
    assert distance.max() <= np.sqrt(0.5) + 1e-9  # rounding to whole pixels


@pytest.mark.parametrize(
    ("group", "prefixes", "landmarks"),
    [
        ("left_eye", ("left_eye",), RIGHT_EYE),
        ("right_eye", ("right_eye",), LEFT_EYE),
        ("mouth", ("upper_lip", "lower_lip"), (*LIPS_OUTER, *LIPS_INNER)),
        ("face", ("face_contour_left", "face_contour_right", "face_hairline"), FACE_OVAL[9:29]),
    ],
)
def test_the_landmarks_of_the_mesh_are_near_the_points(
    group: str, prefixes: tuple[str, ...], landmarks: tuple[int, ...]
) -> None:
    points = np.concatenate([run(FOUND[group], prefix) for prefix in prefixes])
    gaps = np.linalg.norm(LANDMARKS[list(landmarks), None, :2] - points, axis=2).min(axis=1)
    assert gaps.max() < 0.03 * EYE_DISTANCE


def test_a_run_begins_and_turns_where_the_logged_response_does() -> None:
    def at(group: str, prefix: str, number: int) -> NDArray[np.float64]:
        return np.asarray(run(FOUND[group], prefix)[number])

    # The hairline goes from the right of the picture over the forehead to the left.
    hairline = run(FOUND["face"], "face_hairline")
    assert hairline[0, 0] > hairline[72, 0] > hairline[144, 0]
    assert hairline[:, 1].min() == pytest.approx(hairline[72, 1], abs=4)
    assert abs(hairline[72, 0] - LANDMARKS[10, 0]) < 4
    for side, outward in (("left", -1), ("right", 1)):
        contour = run(FOUND["face"], f"face_contour_{side}")
        assert contour[63, 1] < contour[0, 1]
        assert (contour[63, 0] - contour[0, 0]) * outward > 0
        # It overlaps the hairline by about 7 of its points.
        end = hairline[144 if side == "left" else 0]
        assert 4 <= (contour[:, 1] < end[1]).sum() <= 12
        for group, turn, ends in (
            (f"{side}_eyebrow", 32, ((70, 46), (107, 55))),
            (f"{side}_eye", 31, ((33, 33), (133, 133))),
            (f"{side}_eye_eyelid", 32, ((33, 130), (133, 243))),
        ):
            ring = run(FOUND[group], group)
            for number, pair in zip((0, turn), ends, strict=True):
                indices = list(pair) if side == "left" else [MIRROR[index] for index in pair]
                assert np.abs(ring[number] - LANDMARKS[indices, :2].mean(axis=0)).max() <= 0.5
            # First the upper edge, then the lower one.
            assert ring[16, 1] < ring[48, 1]
        side_of_nose = run(FOUND["nose"], f"nose_{side}")
        outside = side_of_nose[:, 0] * outward
        assert 36 <= int(outside.argmax()) <= 43
        assert side_of_nose[0, 1] < side_of_nose[30, 1] < side_of_nose[50, 1]
        assert abs(side_of_nose[62, 0] - LANDMARKS[4, 0]) < 0.1 * EYE_DISTANCE
        x, _ = np.ravel(FOUND["nose"][f"{side}_nostril"])
        assert (x - LANDMARKS[4, 0]) * outward > 0
    left, right = (at("face", f"face_contour_{side}", 0) for side in ("left", "right"))
    assert left[0] < right[0]
    assert np.linalg.norm(left - right) == pytest.approx(
        np.linalg.norm(at("face", "face_contour_right", 1) - right), abs=3
    )
    midline = run(FOUND["nose"], "nose_midline")
    assert (np.diff(midline[:, 1]) > 0).all()
    for prefix, turn, edge in (("upper_lip", 32, -1), ("lower_lip", 31, 1)):
        lip = run(FOUND["mouth"], prefix)
        assert int(lip[:, 0].argmax()) == turn
        assert int(lip[:, 0].argmin()) == 0
        # The outer edge comes first.
        assert (lip[16, 1] - lip[48, 1]) * edge > 0


def test_the_points_of_an_edge_are_equally_far_apart() -> None:
    for (group, prefix), count in RUNS.items():
        points = run(FOUND[group], prefix)
        turn = 72 if prefix == "face_hairline" else {64: 31, 63: 30, 60: 59}[count]
        steps = np.linalg.norm(np.diff(points[: turn + 1], axis=0), axis=1)
        assert np.abs(steps - steps.mean()).max() < 2.5, prefix


def test_the_mirror_image_has_the_mirrored_points() -> None:
    width = 1201
    mirrored = dense_landmarks(mirrored_landmarks(LANDMARKS, width))

    def flipped(name: str) -> str:
        return name.replace("left", "#").replace("right", "left").replace("#", "right")

    for group, prefix in RUNS:
        points = run(FOUND[group], prefix)
        points[:, 0] = width - 1 - points[:, 0]
        other = run(mirrored[flipped(group)], flipped(prefix))
        if group == "mouth":
            turn = 32 if prefix == "upper_lip" else 31
            order = [(turn - number) % 64 for number in range(64)]
            assert np.abs(points[order] - other).max() <= 1
        elif prefix == "face_hairline":
            assert np.abs(points[::-1] - other).max() <= 1
        else:
            assert np.abs(points - other).max() <= 1


def test_an_eye_has_its_pupil_and_the_radius_of_the_iris() -> None:
    exact = dense_landmarks(canonical_landmarks(scale=SCALE, origin=(600.0, 700.0)))
    for side, index in (("left", 468), ("right", 473)):
        group = exact[f"{side}_eye"]
        clean = canonical_landmarks(scale=SCALE, origin=(600.0, 700.0))
        assert group[f"{side}_eye_pupil_center"] == tuple(np.rint(clean[index, :2]).astype(int).tolist())
        assert group[f"{side}_eye_pupil_radius"] == round(SCALE * IRIS_CM)


def test_only_the_requested_groups_are_returned_in_the_order_of_the_groups() -> None:
    assert list(dense_landmarks(LANDMARKS, ["mouth", "face"])) == ["face", "mouth"]
