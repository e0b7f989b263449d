from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from emulator.face.detection import MediaPipeDetector
from emulator.face.landmarks import CHIN_TIP, FACE_OVAL, LEFT_EYE, LEFT_EYEBROW, LIPS_OUTER
from emulator.face.person_skin import person_skin, united
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.face.types import Image, Mask, Points3
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.options import ImageRules

FACES = Path(__file__).parent.parent.parent / "fixtures" / "faces"


@pytest.fixture(scope="module")
def detector() -> MediaPipeDetector:
    return MediaPipeDetector()


@pytest.fixture(scope="module")
def image() -> Image:
    return render_face(SyntheticFaceSpec(seed=14, width=320, height=360, face_fraction=0.45)).image


@pytest.fixture(scope="module")
def landmarks(image: Image, detector: MediaPipeDetector) -> Points3:
    return detector.detect(image)[0].landmarks


@pytest.fixture(scope="module")
def mask(image: Image, landmarks: Points3, detector: MediaPipeDetector) -> Mask:
    return united([person_skin(image, landmarks, detector.segment_person, features=False)], image.shape)


def near(mask: Mask, landmarks: Points3, index: int, below: float = 0.0) -> float:
    x, y = landmarks[index, :2] + (0.0, below)
    return float(mask[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].mean())


def inside(
    image: Image, landmarks: Points3, ring: tuple[int, ...]
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    plane = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(plane, cv2.convexHull(np.rint(landmarks[list(ring), :2]).astype(np.int32)), (1,))
    return plane.astype(bool)


def test_the_mask_has_cheeks_and_neck_and_no_background(mask: Mask, landmarks: Points3) -> None:
    assert mask.dtype == np.float32
    assert mask.min() >= 0.0
    assert mask.max() <= 1.0
    for cheek in (50, 280):
        assert near(mask, landmarks, cheek) > 0.9
    height = float(np.ptp(landmarks[list(FACE_OVAL), 1]))
    assert near(mask, landmarks, CHIN_TIP, below=0.12 * height) > 0.5
    assert mask[:, :20].max() < 0.05
    assert mask[:, -20:].max() < 0.05
    assert mask[:20].max() < 0.05


def test_features_are_not_smoothed(image: Image, mask: Mask, landmarks: Points3) -> None:
    for ring in (LEFT_EYE, LEFT_EYEBROW, LIPS_OUTER):
        assert mask[inside(image, landmarks, ring)].mean() < 0.1, ring


def test_a_place_with_the_colour_of_skin_that_is_no_person_is_left_out(
    image: Image, landmarks: Points3, detector: MediaPipeDetector, mask: Mask
) -> None:
    cheek = image[round(landmarks[50, 1]), round(landmarks[50, 0])]
    painted = image.copy()
    painted[20:120, 5:40] = cheek
    again = united([person_skin(painted, landmarks, detector.segment_person, features=False)], image.shape)
    assert again[20:120, 5:40].max() < 0.1
    assert mask[20:120, 5:40].max() < 0.1


def test_a_person_that_does_not_touch_the_face_is_left_out(image: Image, landmarks: Points3) -> None:
    """This holds even if the model says that the whole picture is a person."""
    cheek = image[round(landmarks[50, 1]), round(landmarks[50, 0])]
    painted = image.copy()
    painted[:, :40] = (0, 0, 255)
    painted[40:140, 5:30] = cheek

    def everything(part: Image) -> Mask:
        return np.ones(part.shape[:2], np.float32)

    again = united([person_skin(painted, landmarks, everything, features=True)], image.shape)
    assert again[40:140, 5:30].max() < 0.1


def test_a_face_outside_the_picture_has_no_skin(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    away = landmarks + np.array([10.0 * image.shape[1], 0.0, 0.0])
    part = person_skin(image, away, detector.segment_person, features=True)
    assert part is None
    assert not united([part], image.shape).any()


def test_a_medical_mask_is_no_skin(detector: MediaPipeDetector) -> None:
    rules = ImageRules(frozenset({"jpeg"}))
    image = decode_picture((FACES / "covered-mouth.jpg").read_bytes(), rules).image
    image = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    landmarks = detector.detect(image)[0].landmarks
    mask = united([person_skin(image, landmarks, detector.segment_person, features=True)], image.shape)
    assert near(mask, landmarks, 151) > 0.9
    for covered in (50, 280, 0, 17):
        assert near(mask, landmarks, covered) < 0.1
