"""The momentary state of a face."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from emulator.face.appearance import FaceState
from emulator.face.face_state import face_state
from emulator.face.landmarks import LEFT_EYE, RIGHT_EYE, mirrored_landmarks
from emulator.face.types import Image, Points3
from emulator.pipelines.core import detector

FACES = Path(__file__).parents[2] / "fixtures" / "faces"


def seen(name: str) -> tuple[Image, Points3]:
    """Return a test face, and the landmarks that the detector finds in it."""
    image = np.asarray(cv2.cvtColor(cv2.imread(str(FACES / f"{name}.jpg")), cv2.COLOR_BGR2RGB), np.uint8)
    return image, detector().detect(image)[0].landmarks


@pytest.fixture(scope="module")
def states() -> dict[str, FaceState]:
    names = ("ok-frontal", "ok-smile", "open-mouth", "closed-eyes", "covered-mouth", "glasses", "ok-left")
    return {name: face_state(*seen(name)) for name in names}


def test_each_test_face_has_the_state_that_it_shows(states: dict[str, FaceState]) -> None:
    assert {name for name, state in states.items() if state.smile > 0.5} == {"ok-smile"}
    assert {name for name, state in states.items() if state.mouth_opening > 0.5} == {"open-mouth"}
    assert {name for name, state in states.items() if state.covered_mouth} == {"covered-mouth"}
    for eye in ("left_eye", "right_eye"):
        closed = {name for name, state in states.items() if getattr(state, eye).opening < 0.5}
        assert closed == {"closed-eyes"}
    assert not any(state.dark_lenses for state in states.values())
    assert all(state.blur < 0.05 for state in states.values())


def test_the_gaze_follows_the_turn_of_the_head(states: dict[str, FaceState]) -> None:
    for name, state in states.items():
        truth = json.loads((FACES / f"{name}.json").read_text())["faces"][0]["pose_deg"]
        for eye in (state.left_eye, state.right_eye):
            assert np.linalg.norm(eye.gaze) == pytest.approx(1.0)
            assert np.degrees(np.arctan2(eye.gaze[0], -eye.gaze[2])) == pytest.approx(truth["yaw"], abs=8)
            assert 0 < min(eye.iris) <= max(eye.iris) < 1


def test_an_iris_at_the_corner_turns_the_gaze() -> None:
    image, landmarks = seen("ok-frontal")
    moved = landmarks.copy()
    moved[468:478, 0] += 0.2 * abs(landmarks[33, 0] - landmarks[133, 0])
    before, after = face_state(image, landmarks), face_state(image, moved)
    for eye in ("left_eye", "right_eye"):
        assert getattr(after, eye).iris[0] == pytest.approx(getattr(before, eye).iris[0] + 0.2, abs=0.02)
        assert getattr(after, eye).gaze[0] > getattr(before, eye).gaze[0] + 0.2


def test_the_mirror_image_swaps_the_eyes() -> None:
    image, landmarks = seen("ok-smile")
    state = face_state(image, landmarks)
    mirrored = face_state(image[:, ::-1].copy(), mirrored_landmarks(landmarks, image.shape[1]))
    assert mirrored.left_eye.opening == pytest.approx(state.right_eye.opening, abs=0.02)
    assert mirrored.left_eye.iris[0] == pytest.approx(1 - state.right_eye.iris[0], abs=0.02)
    assert mirrored.left_eye.gaze[0] == pytest.approx(-state.right_eye.gaze[0], abs=0.05)
    assert mirrored.pose.yaw == pytest.approx(-state.pose.yaw, abs=0.5)
    assert mirrored.smile == pytest.approx(state.smile, abs=0.05)
    assert mirrored.blur == pytest.approx(state.blur, abs=0.01)


def test_more_blur_gives_a_larger_number() -> None:
    image, landmarks = seen("ok-frontal")
    width = float(np.ptp(landmarks[:468, 0]))
    found = []
    for sigma in (0.005, 0.02, 0.03, 0.05):
        blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma * width), np.uint8)
        found.append(face_state(blurred, landmarks).blur)
    assert found == sorted(found)
    assert found[0] < 0.1
    assert found[-1] > 0.9


def test_dark_lenses_hide_both_eyes() -> None:
    image, landmarks = seen("glasses")
    for ring in (LEFT_EYE, RIGHT_EYE):
        points = landmarks[list(ring), :2]
        lens = points.mean(axis=0) + 2.5 * (points - points.mean(axis=0))
        cv2.fillConvexPoly(image, cv2.convexHull(np.rint(lens).astype(np.int32)), (20, 20, 25))
        # One dark lens can be a shadow.
        assert face_state(image, landmarks).dark_lenses == (ring is RIGHT_EYE)


def test_a_face_beyond_the_border_has_a_state() -> None:
    image, landmarks = seen("ok-frontal")
    cut = face_state(image[: round(float(landmarks[4, 1]))].copy(), landmarks)
    assert cut.left_eye.opening == face_state(image, landmarks).left_eye.opening
    outside = landmarks + np.array([10_000.0, 0.0, 0.0])
    assert 0 <= face_state(image, outside).blur <= 1


def test_a_wrong_shape_is_refused() -> None:
    image, landmarks = seen("ok-frontal")
    with pytest.raises(ValueError, match="image must be"):
        face_state(image[:, :, 0], landmarks)
    with pytest.raises(ValueError, match="landmarks must be"):
        face_state(image, landmarks[:468])
