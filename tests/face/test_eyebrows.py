from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.face.detection import MediaPipeDetector
from emulator.face.eyebrows import remove_eyebrows
from emulator.face.head_frame import head_frame
from emulator.face.landmarks import LEFT_EYE, LEFT_EYEBROW, LIPS_OUTER, RIGHT_EYE, RIGHT_EYEBROW
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.face.types import Image, Points3

SIZES = (480, 120)
"""Widths of the pictures. The second one has a small face."""


@cache
def drawn() -> Image:
    return render_face(SyntheticFaceSpec(seed=14, width=480, height=480, face_fraction=0.5)).image


@pytest.fixture(scope="module", params=SIZES)
def picture(request: pytest.FixtureRequest) -> tuple[Image, Points3]:
    size = (request.param, request.param)
    image = np.asarray(cv2.resize(drawn(), size, interpolation=cv2.INTER_AREA), np.uint8)
    return image, MediaPipeDetector().detect(image)[0].landmarks


def inside(image: Image, landmarks: Points3, ring: tuple[int, ...]) -> NDArray[np.bool_]:
    plane = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(plane, cv2.convexHull(np.rint(landmarks[list(ring), :2]).astype(np.int32)), (1,))
    return plane.astype(bool)


def luma(image: Image) -> NDArray[np.float64]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float64)


def darkness(image: Image, landmarks: Points3, brow: tuple[int, ...]) -> float:
    """Return how much darker the darkest tenth of an eyebrow is than the skin between the eyebrows."""
    x, y = np.rint(landmarks[9, :2]).astype(int)
    skin = float(np.median(luma(image)[y - 2 : y + 3, x - 2 : x + 3]))
    return skin - float(np.percentile(luma(image)[inside(image, landmarks, brow)], 10))


@pytest.mark.parametrize("brow", [LEFT_EYEBROW, RIGHT_EYEBROW])
def test_an_eyebrow_fades_into_skin(picture: tuple[Image, Points3], brow: tuple[int, ...]) -> None:
    image, landmarks = picture
    steps = [
        darkness(remove_eyebrows(image, landmarks, s), landmarks, brow) for s in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > 60.0
    # The skin under an eyebrow is in its shadow, so it is a little darker than between the eyebrows.
    assert steps[-1] < 0.6 * steps[0]
    assert steps[2] == pytest.approx((steps[0] + steps[-1]) / 2, abs=8.0)


def test_strength_0_changes_nothing(picture: tuple[Image, Points3]) -> None:
    image, landmarks = picture
    same = remove_eyebrows(image, landmarks, 0.0)
    assert np.array_equal(same, image)
    assert not np.shares_memory(same, image)


def test_eyes_mouth_and_everything_far_from_the_eyebrows_stay_bit_for_bit(
    picture: tuple[Image, Points3],
) -> None:
    image, landmarks = picture
    result = remove_eyebrows(image, landmarks, 1.0)
    for ring in (LEFT_EYE, RIGHT_EYE, LIPS_OUTER):
        area = inside(image, landmarks, ring)
        assert np.array_equal(result[area], image[area])
    changed = (result != image).any(axis=2)
    brows = inside(image, landmarks, LEFT_EYEBROW) | inside(image, landmarks, RIGHT_EYEBROW)
    away = cv2.distanceTransform((~brows).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert away[changed].max() <= 0.12 * head_frame(landmarks).unit + 1.5


def test_the_new_skin_has_the_texture_of_skin() -> None:
    """A blurred patch would have less grain than the forehead, and copied noise would have more."""
    image = drawn()
    landmarks = MediaPipeDetector().detect(image)[0].landmarks
    noise = np.random.default_rng(3).normal(0.0, 6.0, image.shape[:2])[:, :, None]
    grainy = np.clip(image + noise, 0, 255).astype(np.uint8)
    result = remove_eyebrows(grainy, landmarks, 1.0)

    def grain(area: NDArray[np.bool_]) -> float:
        fine = luma(result) - np.asarray(cv2.GaussianBlur(luma(result), (0, 0), 2.0))
        return float(fine[area].std())

    forehead = np.zeros(image.shape[:2], bool)
    x, y = np.rint(landmarks[151, :2]).astype(int)
    forehead[y - 8 : y + 9, x - 8 : x + 9] = True
    for brow in (LEFT_EYEBROW, RIGHT_EYEBROW):
        assert grain(inside(image, landmarks, brow)) == pytest.approx(grain(forehead), rel=0.25)


def test_an_eyebrow_under_a_cap_stays(picture: tuple[Image, Points3]) -> None:
    image, landmarks = picture
    covered = image.copy()
    unit = head_frame(landmarks).unit
    lowest = int(landmarks[[*LEFT_EYEBROW, *RIGHT_EYEBROW], 1].max() + 0.06 * unit)
    covered[:lowest] = (20, 40, 160)
    result = remove_eyebrows(covered, landmarks, 1.0)
    assert np.array_equal(result, covered)


def test_a_face_beside_the_picture_changes_nothing(picture: tuple[Image, Points3]) -> None:
    image, landmarks = picture
    away = landmarks + np.array([10.0 * image.shape[1], 0.0, 0.0])
    assert np.array_equal(remove_eyebrows(image, away, 1.0), image)
