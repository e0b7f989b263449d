from __future__ import annotations

import cv2
import numpy as np
import pytest
from canonical_landmarks import IRIS_CM, canonical_landmarks
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emulator.face.feature_curves import (
    STEPS,
    Feature,
    FeatureCurves,
    irises,
    nostrils,
)
from emulator.face.landmarks import (
    CHIN_TIP,
    LEFT_EYE_INNER_CORNER,
    LEFT_EYE_OUTER_CORNER,
    LIPS_INNER,
    LIPS_OUTER,
    MIRROR,
    NOSE,
    NOSE_TIP,
    RIGHT_EYE,
    RIGHT_EYE_INNER_CORNER,
    RIGHT_EYE_OUTER_CORNER,
    RIGHT_EYEBROW,
    mirrored_landmarks,
)

EYE_DISTANCE = 6.3
"""Distance of the pupils of the canonical head, in centimetres."""

SCALE = 20.0
LANDMARKS = canonical_landmarks(SCALE)
FLAT = LANDMARKS[:, :2]

noise = st.integers(0, 2**32 - 1).map(
    lambda seed: LANDMARKS + np.random.default_rng(seed).normal(0.0, 3.0, LANDMARKS.shape)
)


def mirrored(feature: Feature) -> Feature:
    name = feature.value
    swapped = name.replace("right_", "left_", 1) if name.startswith("right_") else name
    return Feature(name.replace("left_", "right_", 1) if name.startswith("left_") else swapped)


def distance_to_line(points: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of each point to the nearest piece of a polyline."""
    begin, along = line[:-1], np.diff(line, axis=0)
    squared = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip(((points[:, None] - begin) * along).sum(axis=2) / squared, 0.0, 1.0)
    return np.asarray(np.linalg.norm(points[:, None] - (begin + share[:, :, None] * along), axis=2).min(1))


@given(noise, st.floats(0.01, 100), st.floats(-3.2, 3.2), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
@settings(max_examples=30, deadline=None)
def test_the_curves_move_with_the_face(
    landmarks: NDArray[np.float64], scale: float, angle: float, x: float, y: float
) -> None:
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    flat = landmarks[:, :2]
    before, after = FeatureCurves(flat), FeatureCurves(flat @ turn + (x, y))
    for feature in Feature:
        expected = before.sample(feature, 9) @ turn + (x, y)
        np.testing.assert_allclose(after.sample(feature, 9), expected, atol=1e-6 * (1 + 500 * scale))


@given(noise)
@settings(max_examples=30, deadline=None)
def test_the_mirror_image_has_the_mirrored_curves(landmarks: NDArray[np.float64]) -> None:
    width = 401
    before, after = FeatureCurves(landmarks), FeatureCurves(mirrored_landmarks(landmarks, width))
    for feature in Feature:
        expected = before.sample(feature, 11)
        expected[:, 0] = width - 1 - expected[:, 0]
        found = after.sample(mirrored(feature), 11)
        if feature == mirrored(feature) and feature != Feature.NOSE_MIDLINE:
            found = found[::-1]  # lips run from the right corner to the left one
        np.testing.assert_allclose(found, expected, atol=1e-6)


@given(noise, st.sampled_from(Feature), st.integers(2, 145))
@settings(max_examples=100, deadline=None)
def test_samples_are_on_the_curve_at_equal_distances(
    landmarks: NDArray[np.float64], feature: Feature, count: int
) -> None:
    curves = FeatureCurves(landmarks[:, :2])
    line, points = curves.polyline(feature), curves.sample(feature, count)
    assert len(points) == count
    np.testing.assert_allclose(points[[0, -1]], line[[0, -1]], atol=1e-9)
    assert distance_to_line(points, line).max() < 1e-6
    # The samples cut corners, so they are at most as far apart as along the curve.
    step = np.linalg.norm(np.diff(line, axis=0), axis=1).sum() / (count - 1)
    apart = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert apart.max() < step * (1 + 1e-9)
    positions = np.linspace(0.0, 1.0, count)
    np.testing.assert_array_equal(curves.at(feature, positions), points)


@pytest.mark.parametrize(
    ("feature", "landmarks"),
    [
        (Feature.RIGHT_UPPER_LID, RIGHT_EYE[:9]),
        (Feature.UPPER_LIP_UPPER, LIPS_OUTER[:11]),
        (Feature.NOSE_MIDLINE, (8, 168, 6, 197, 195, 5, NOSE_TIP, 1, 19, 94, 2, 164)),
    ],
)
def test_a_curve_passes_through_its_landmarks_in_order(feature: Feature, landmarks: tuple[int, ...]) -> None:
    line = FeatureCurves(LANDMARKS).polyline(feature)
    np.testing.assert_allclose(line[::STEPS], LANDMARKS[list(landmarks)], atol=1e-9)


@pytest.mark.parametrize(
    ("features", "landmarks"),
    [
        ((Feature.RIGHT_EYEBROW_UPPER, Feature.RIGHT_EYEBROW_LOWER), RIGHT_EYEBROW),
        ((Feature.RIGHT_UPPER_LID, Feature.RIGHT_LOWER_LID), RIGHT_EYE),
        ((Feature.UPPER_LIP_LOWER, Feature.LOWER_LIP_UPPER), LIPS_INNER),
        ((Feature.UPPER_LIP_UPPER, Feature.LOWER_LIP_LOWER), LIPS_OUTER),
        ((Feature.RIGHT_OUTLINE,), (127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, CHIN_TIP)),
    ],
)
def test_the_landmarks_of_a_feature_are_on_its_curves(
    features: tuple[Feature, ...], landmarks: tuple[int, ...]
) -> None:
    curves = FeatureCurves(FLAT)
    points = FLAT[list(landmarks)]
    nearest = np.min([distance_to_line(points, curves.polyline(feature)) for feature in features], axis=0)
    assert nearest.max() < 1e-9


@given(noise, st.sampled_from(Feature))
@settings(max_examples=50, deadline=None)
def test_a_curve_stays_near_the_lines_between_its_points(
    landmarks: NDArray[np.float64], feature: Feature
) -> None:
    """A centripetal spline leaves a chord by less than half its length, and does not turn back."""
    line = FeatureCurves(landmarks[:, :2]).polyline(feature)
    for start in range(0, len(line) - 1, STEPS):
        piece = line[start : start + STEPS + 1]
        chord = float(np.linalg.norm(piece[-1] - piece[0]))
        assert distance_to_line(piece, piece[[0, -1]]).max() < 0.5 * chord
        assert np.linalg.norm(np.diff(piece, axis=0), axis=1).sum() < 1.6 * chord


def test_the_ends_of_the_curves_are_the_documented_ones() -> None:
    curves = FeatureCurves(LANDMARKS)

    def ends(feature: Feature) -> NDArray[np.float64]:
        return curves.sample(feature, 2)

    np.testing.assert_allclose(ends(Feature.RIGHT_OUTLINE)[1], LANDMARKS[CHIN_TIP])
    np.testing.assert_allclose(ends(Feature.LEFT_OUTLINE)[1], LANDMARKS[CHIN_TIP])
    np.testing.assert_allclose(ends(Feature.RIGHT_HAIRLINE)[0], LANDMARKS[234])
    np.testing.assert_allclose(ends(Feature.RIGHT_HAIRLINE)[1], ends(Feature.LEFT_HAIRLINE)[1])
    for side, outer, inner in (
        ("RIGHT", RIGHT_EYE_OUTER_CORNER, RIGHT_EYE_INNER_CORNER),
        ("LEFT", LEFT_EYE_OUTER_CORNER, LEFT_EYE_INNER_CORNER),
    ):
        for lid in ("UPPER", "LOWER"):
            np.testing.assert_allclose(ends(Feature[f"{side}_{lid}_LID"]), LANDMARKS[[outer, inner]])
    for edge in ("UPPER_LIP_UPPER", "UPPER_LIP_LOWER", "LOWER_LIP_UPPER", "LOWER_LIP_LOWER"):
        np.testing.assert_allclose(ends(Feature[edge]), LANDMARKS[[61, 291]])


@pytest.mark.parametrize("yaw", [-50.0, -30.0, -15.0, 15.0, 30.0, 50.0])
def test_the_outline_of_a_turned_head_is_its_silhouette(yaw: float) -> None:
    angle = np.radians(yaw)
    turned = LANDMARKS.copy()
    turned[:, 0] = np.cos(angle) * LANDMARKS[:, 0] - np.sin(angle) * LANDMARKS[:, 2]
    curves = FeatureCurves(turned[:, :2])
    loop = np.concatenate(
        [
            curves.polyline(Feature.RIGHT_HAIRLINE)[STEPS:],
            curves.polyline(Feature.LEFT_HAIRLINE)[:STEPS:-1],
            curves.polyline(Feature.LEFT_OUTLINE),
            curves.polyline(Feature.RIGHT_OUTLINE)[::-1],
        ]
    ).astype(np.float32)
    # The nose and the lips can be in front of the silhouette.
    others = sorted(set(range(468)) - {*NOSE, *LIPS_OUTER, *LIPS_INNER})
    outside = [-cv2.pointPolygonTest(loop, (x, y), measureDist=True) for x, y in turned[others, :2].tolist()]
    assert np.mean(np.array(outside) > 0.1 * SCALE) < 0.02
    assert max(outside) < 0.35 * SCALE


def test_a_ring_turns_at_the_given_point() -> None:
    curves = FeatureCurves(FLAT)
    ring = curves.ring(Feature.RIGHT_UPPER_LID, Feature.RIGHT_LOWER_LID, 63, 31)
    assert ring.shape == (63, 2)
    np.testing.assert_allclose(ring[[0, 31]], FLAT[[RIGHT_EYE_OUTER_CORNER, RIGHT_EYE_INNER_CORNER]])
    # Up first, so the upper lid is above the lower lid.
    assert ring[1:31, 1].max() < ring[[0, 31], 1].max()
    assert ring[15, 1] < ring[47, 1]
    closed = np.concatenate([ring, ring[:1]])
    steps = np.linalg.norm(np.diff(closed, axis=0), axis=1)
    np.testing.assert_allclose(steps[:31], steps[0], rtol=0.02)
    np.testing.assert_allclose(steps[31:], steps[40], rtol=0.02)


def test_curves_of_touching_landmarks_are_finite() -> None:
    landmarks = np.zeros((478, 2))
    assert np.isfinite(FeatureCurves(landmarks).sample(Feature.UPPER_LIP_LOWER, 5)).all()
    closed = FLAT.copy()
    closed[list(LIPS_INNER)] = closed[LIPS_INNER[0]]
    points = FeatureCurves(closed).sample(Feature.UPPER_LIP_LOWER, 5)
    assert np.isfinite(points).all()


def test_the_hairline_is_above_the_oval_in_the_middle_and_on_it_at_the_temples() -> None:
    hairline = FeatureCurves(FLAT).polyline(Feature.RIGHT_HAIRLINE)
    lift = FLAT[10, 1] - hairline[-1, 1]
    assert lift == pytest.approx(0.65 * (FLAT[9, 1] - FLAT[10, 1]))
    np.testing.assert_allclose(hairline[::STEPS][:3], FLAT[[234, 127, 162]], atol=1e-9)
    assert (np.diff(hairline[:, 1]) < 0).all()


def test_an_iris_has_its_centre_and_its_longer_radius() -> None:
    landmarks = canonical_landmarks(scale=10.0)
    landmarks[[469, 471], 0] = landmarks[468, 0] + np.array([1.0, -1.0])
    right, left = irises(landmarks)
    assert right.radius == pytest.approx(10.0 * IRIS_CM)
    assert left.radius == pytest.approx(10.0 * IRIS_CM)
    np.testing.assert_allclose(left.centre - right.centre, (10.0 * EYE_DISTANCE, 0.0), atol=1.0)


def test_the_nostrils_are_on_both_sides_below_the_tip() -> None:
    right, left = nostrils(FLAT)
    assert right[0] < FLAT[NOSE_TIP, 0] < left[0]
    assert FLAT[NOSE_TIP, 1] < right[1] == left[1] < FLAT[0, 1]


def test_too_few_landmarks_are_refused() -> None:
    with pytest.raises(ValueError, match="landmarks"):
        FeatureCurves(FLAT[:400])


def test_each_left_curve_mirrors_a_right_one() -> None:
    curves = FeatureCurves(FLAT)
    axis = FLAT[10, 0]
    for feature in Feature:
        if feature.value.startswith("right_"):
            other = curves.sample(mirrored(feature), 7)
            other[:, 0] = 2 * axis - other[:, 0]
            np.testing.assert_allclose(curves.sample(feature, 7), other, atol=1e-9)
    assert MIRROR[234] == 454
