from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from emulator.face.beauty import beautify
from emulator.face.beauty_parameters import BeautyParameters
from emulator.face.detection import MediaPipeDetector
from emulator.face.head_frame import head_frame
from emulator.face.landmarks import FACE_OVAL, LEFT_EYE, LEFT_EYEBROW, LIPS_OUTER, RIGHT_EYE
from emulator.face.skin import skin_mask
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.face.types import Image, Points3
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.options import ImageRules

FACES = Path(__file__).parent.parent.parent / "fixtures" / "faces"
NAMES = [field.name for field in fields(BeautyParameters)]
ALL = BeautyParameters(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def detector() -> MediaPipeDetector:
    return MediaPipeDetector()


@pytest.fixture(scope="module")
def image() -> Image:
    astronaut: Callable[[], Image] = skimage.data.astronaut
    return astronaut()


@pytest.fixture(scope="module")
def landmarks(image: Image, detector: MediaPipeDetector) -> Points3:
    return detector.detect(image)[0].landmarks


def luma(image: Image) -> NDArray[np.float64]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float64)


def inside(image: Image, landmarks: Points3, ring: tuple[int, ...]) -> NDArray[np.bool_]:
    plane = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(plane, cv2.convexHull(np.rint(landmarks[list(ring), :2]).astype(np.int32)), (1,))
    return plane.astype(bool)


def test_zero_strengths_return_the_input_bit_for_bit(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    for faces in ([landmarks], []):
        result = beautify(image, faces, BeautyParameters(), detector.segment_person)
        assert np.array_equal(result, image)
        assert not np.shares_memory(result, image)


def test_without_a_face_only_the_whitening_applies_and_to_the_whole_picture(
    image: Image, detector: MediaPipeDetector
) -> None:
    shaped = beautify(image, [], replace(ALL, whitening=0.0), detector.segment_person)
    assert np.array_equal(shaped, image)
    whitened = beautify(image, [], ALL, detector.segment_person)
    grey = (image > 30) & (image < 225)
    assert (whitened[grey] > image[grey]).all()


def test_more_whitening_is_brighter_skin_and_the_same_background(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    skin = skin_mask(image, landmarks) > 0.9
    results = [
        beautify(image, [landmarks], BeautyParameters(whitening=strength), detector.segment_person)
        for strength in (0.0, 0.5, 1.0)
    ]
    bright = [float(luma(result)[skin].mean()) for result in results]
    assert bright == sorted(bright)
    assert bright[2] - bright[0] > 20.0
    assert bright[1] == pytest.approx((bright[0] + bright[2]) / 2, abs=1.0)
    # The upper corners show a flag and a space shuttle.
    unchanged = (results[2] == image).all(axis=2)
    assert unchanged[:150, :120].all()
    assert unchanged[:250, 350:].mean() > 0.99


def test_more_smoothing_is_less_variance_and_the_same_features(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    skin = skin_mask(image, landmarks) > 0.9

    def variance(result: Image) -> float:
        plane = luma(result)
        local = cv2.blur(plane * plane, (7, 7)) - cv2.blur(plane, (7, 7)) ** 2
        return float(np.asarray(local)[skin].mean())

    results = [
        beautify(image, [landmarks], BeautyParameters(smoothing=strength), detector.segment_person)
        for strength in (0.0, 0.5, 1.0)
    ]
    rough = [variance(result) for result in results]
    assert rough[0] > rough[1] > rough[2]
    assert rough[2] < 0.82 * rough[0]
    for ring in (LEFT_EYE, RIGHT_EYE, LEFT_EYEBROW, LIPS_OUTER):
        area = inside(image, landmarks, ring)
        assert np.abs(luma(results[2]) - luma(image))[area].mean() < 0.5, ring


@pytest.mark.parametrize("name", ["thin_face", "shrink_face"])
def test_the_outline_becomes_narrower_in_the_picture(
    name: str, image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    def width(points: Points3) -> float:
        return float(np.linalg.norm(points[454, :2] - points[234, :2]))

    shaped = beautify(image, [landmarks], BeautyParameters(**{name: 1.0}), detector.segment_person)
    found = width(detector.detect(shaped)[0].landmarks) / width(landmarks)
    assert 0.86 < found < 0.96


def test_the_eyes_become_larger_in_the_picture(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    """The size is measured by the dark pixels of the irises and lashes around both eyes."""
    shaped = beautify(image, [landmarks], BeautyParameters(enlarge_eyes=1.0), detector.segment_person)
    wide = np.zeros(image.shape[:2], np.uint8)
    for ring in (LEFT_EYE, RIGHT_EYE):
        wide |= inside(image, landmarks, ring).astype(np.uint8)
    reach = round(0.08 * head_frame(landmarks).unit)
    around = np.asarray(cv2.dilate(wide, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))).astype(bool)
    dark = [int((luma(each)[around] < 60).sum()) for each in (image, shaped)]
    assert 1.1 < dark[1] / dark[0] < 1.5


def test_all_faces_change_and_the_space_between_them_stays(detector: MediaPipeDetector) -> None:
    rules = ImageRules(frozenset({"jpeg"}))
    image = decode_picture((FACES / "two-faces.jpg").read_bytes(), rules).image
    image = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    faces = [face.landmarks for face in detector.detect(image)]
    assert len(faces) == 2
    result = beautify(image, faces, replace(ALL, whitening=0.0, smoothing=0.0), detector.segment_person)
    changed = np.abs(result.astype(int) - image).max(axis=2) > 12
    for landmarks in faces:
        assert changed[inside(image, landmarks, FACE_OVAL)].mean() > 0.05
    hulls = [inside(image, landmarks, FACE_OVAL) for landmarks in faces]
    away = cv2.distanceTransform((~(hulls[0] | hulls[1])).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    assert not changed[away > 0.75 * max(head_frame(each).unit for each in faces)].any()


def test_glasses_and_the_eyebrows_behind_them_stay(detector: MediaPipeDetector) -> None:
    rules = ImageRules(frozenset({"jpeg"}))
    image = decode_picture((FACES / "glasses.jpg").read_bytes(), rules).image
    faces = [face.landmarks for face in detector.detect(image)]
    result = beautify(image, faces, BeautyParameters(remove_eyebrows=1.0), detector.segment_person)
    assert np.array_equal(result, image)


def test_the_shape_of_a_turned_head_changes_less(detector: MediaPipeDetector) -> None:
    def moved(yaw: float) -> float:
        spec = SyntheticFaceSpec(seed=14, yaw=yaw, width=320, height=320, face_fraction=0.5)
        image = render_face(spec).image
        faces = [detector.detect(image)[0].landmarks]
        result = beautify(image, faces, BeautyParameters(thin_face=1.0), detector.segment_person)
        return float(np.abs(result.astype(float) - image).mean())

    assert moved(48.0) < 0.5 * moved(0.0)


def test_the_result_does_not_depend_on_earlier_calls(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    once, again = (beautify(image, [landmarks], ALL, detector.segment_person) for _ in range(2))
    assert np.array_equal(once, again)
