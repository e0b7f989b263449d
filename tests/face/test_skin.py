from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage.data

from emulator.face.detection import MediaPipeDetector
from emulator.face.landmarks import FACE_OVAL, LEFT_CHEEK, LEFT_EYE, LIPS_OUTER, RIGHT_EYE
from emulator.face.skin import skin_mask, smooth_skin
from emulator.face.types import Image, Points3


@pytest.fixture(scope="module")
def image() -> Image:
    astronaut: Callable[[], Image] = skimage.data.astronaut
    return astronaut()


@pytest.fixture(scope="module")
def landmarks(image: Image) -> Points3:
    return MediaPipeDetector().detect(image)[0].landmarks


def inside(
    image: Image, landmarks: Points3, ring: tuple[int, ...]
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    plane = np.zeros(image.shape[:2], dtype=np.uint8)
    cv2.fillPoly(plane, [cv2.convexHull(np.rint(landmarks[list(ring), :2]).astype(np.int32))], (1,))
    return plane.astype(bool)


def grain(image: Image) -> float:
    luma = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.float64)
    return float(np.abs(np.diff(luma, axis=1)).mean() + np.abs(np.diff(luma, axis=0)).mean())


def test_zero_strengths_return_the_input_bit_for_bit(image: Image, landmarks: Points3) -> None:
    result = smooth_skin(image, landmarks, 0.0, 0.0)
    assert np.array_equal(result, image)
    assert not np.shares_memory(result, image)


def test_eyes_lips_and_background_stay_bit_for_bit(image: Image, landmarks: Points3) -> None:
    result = smooth_skin(image, landmarks, 1.0, 1.0)
    for ring in (LEFT_EYE, RIGHT_EYE, LIPS_OUTER):
        area = inside(image, landmarks, ring)
        assert np.array_equal(result[area], image[area])
    outside = ~inside(image, landmarks, FACE_OVAL)
    assert np.array_equal(result[outside], image[outside])


def test_more_strength_is_smoother_skin(image: Image, landmarks: Points3) -> None:
    left, top = landmarks[list(LEFT_CHEEK), :2].min(axis=0).astype(int)
    right, bottom = landmarks[list(LEFT_CHEEK), :2].max(axis=0).astype(int)
    rough = [
        grain(smooth_skin(image, landmarks, strength, 0.0)[top:bottom, left:right])
        for strength in (0.0, 0.5, 1.0)
    ]
    assert rough[0] > rough[1] > rough[2]
    assert rough[2] < 0.85 * rough[0]


def test_color_intensity_evens_the_colour_and_keeps_the_luminance(image: Image, landmarks: Points3) -> None:
    skin = skin_mask(image, landmarks) > 0.9
    before = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb), dtype=np.float64)[skin]
    result = smooth_skin(image, landmarks, 0.0, 1.0)
    after = np.asarray(cv2.cvtColor(result, cv2.COLOR_RGB2YCrCb), dtype=np.float64)[skin]
    assert (after[:, 1:].std(axis=0) < 0.8 * before[:, 1:].std(axis=0)).all()
    assert np.abs(after[:, 0] - before[:, 0]).mean() < 0.6
    assert after.mean(axis=0) == pytest.approx(before.mean(axis=0), abs=0.6)


def test_the_mask_is_skin_and_neither_features_nor_surroundings(image: Image, landmarks: Points3) -> None:
    mask = skin_mask(image, landmarks)
    assert mask.dtype == np.float32
    assert mask.shape == image.shape[:2]
    assert mask.min() == 0.0
    assert mask.max() <= 1.0
    assert not mask[~inside(image, landmarks, FACE_OVAL)].any()
    for ring in (LEFT_EYE, RIGHT_EYE, LIPS_OUTER):
        assert not mask[inside(image, landmarks, ring)].any()
    assert np.median(mask[inside(image, landmarks, LEFT_CHEEK)]) > 0.9


def test_a_dark_bar_over_the_cheek_is_not_smoothed(image: Image, landmarks: Points3) -> None:
    covered = image.copy()
    x, y = landmarks[280, :2].astype(int)
    covered[y - 4 : y + 5, x - 4 : x + 5] = (20, 25, 40)
    assert not skin_mask(covered, landmarks)[y - 2 : y + 3, x - 2 : x + 3].any()
    result = smooth_skin(covered, landmarks, 1.0, 1.0)
    assert np.array_equal(result[y - 2 : y + 3, x - 2 : x + 3], covered[y - 2 : y + 3, x - 2 : x + 3])


def test_a_face_outside_the_picture_changes_nothing(image: Image, landmarks: Points3) -> None:
    away = landmarks + np.array([2000.0, 0.0, 0.0])
    assert np.array_equal(smooth_skin(image, away, 1.0, 1.0), image)
    assert not skin_mask(image, away).any()


@pytest.mark.parametrize(("strength", "color"), [(-0.1, 0.0), (0.0, 1.1), (float("nan"), 0.0)])
def test_values_out_of_range_are_refused(
    image: Image, landmarks: Points3, strength: float, color: float
) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        smooth_skin(image, landmarks, strength, color)
