from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import skimage.data

from emulator.face.detection import MediaPipeDetector
from emulator.face.displacement import MINIMUM_JACOBIAN
from emulator.face.head_frame import head_frame
from emulator.face.reshape import reshape_field
from emulator.face.reshape_parameters import ONE_SIDED, ReshapeParameters
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.face.types import Image, Points3
from emulator.face.warp import warp_image
from laboratory.proportions import (
    PROPORTIONS,
    carried_landmarks,
    leak,
    measured_effect,
    optical_flow,
    speckled,
)


@dataclass(frozen=True, eq=False)
class Portrait:
    image: Image
    landmarks: Points3


@pytest.fixture(scope="module")
def drawn() -> Portrait:
    spec = SyntheticFaceSpec(seed=40, skin_tone=5, width=480, height=540, face_fraction=0.52)
    image = speckled(render_face(spec).image, grain=1.8)
    return Portrait(image, MediaPipeDetector().detect(image, crops=4)[0].landmarks)


@pytest.fixture(scope="module")
def photographed() -> Portrait:
    astronaut: Callable[[], Image] = skimage.data.astronaut
    # Enlarge her small face, because optical flow cannot measure detail below a pixel.
    image = np.asarray(
        cv2.resize(astronaut()[:250, 100:340], None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC), np.uint8
    )
    return Portrait(image, MediaPipeDetector().detect(image)[0].landmarks)


def test_optical_flow_measures_a_known_field(drawn: Portrait) -> None:
    parameters = ReshapeParameters(face_width=-0.8, eye_size_left=1.0, lip_width=0.9, nose_lift=-1.0)
    field = reshape_field(drawn.landmarks, parameters, (drawn.image.shape[0], drawn.image.shape[1]))
    flow = optical_flow(drawn.image, warp_image(drawn.image, field))
    frame = head_frame(drawn.landmarks)
    carried = carried_landmarks(flow, drawn.landmarks, frame)
    truth = drawn.landmarks.copy()
    for _ in range(30):
        truth[:, :2] = drawn.landmarks[:, :2] - field.at(truth[:, :2])
    seen = (carried - frame.to_head(drawn.landmarks))[:, :2] @ (frame.axes[:2, :2] * frame.unit)
    off = np.linalg.norm(seen - (truth - drawn.landmarks)[:, :2], axis=1) / frame.unit
    assert np.median(off) < 0.001
    assert np.percentile(off, 95) < 0.004


def test_equal_pictures_have_no_flow(drawn: Portrait) -> None:
    assert not optical_flow(drawn.image, drawn.image).any()


@pytest.mark.parametrize("name", PROPORTIONS)
def test_a_parameter_changes_its_quantity_in_the_pixels_and_little_else(drawn: Portrait, name: str) -> None:
    proportion = PROPORTIONS[name]
    values = [0.0, 0.5, 1.0] if name in ONE_SIDED else [-1.0, 0.5, 1.0]
    changes = []
    for value in values:
        effect = measured_effect(drawn.image, drawn.landmarks, name, value)
        changes.append(effect.change)
        if value:
            assert 0.7 < effect.change / (value * proportion.at_100) < 1.3
        assert effect.leak < 0.05
        assert effect.changed_outside == 0
        assert effect.minimum_jacobian > MINIMUM_JACOBIAN
    assert (np.diff(changes) * np.sign(proportion.at_100) > 0).all()


@pytest.mark.parametrize("name", PROPORTIONS)
def test_a_parameter_changes_its_quantity_in_a_photograph(photographed: Portrait, name: str) -> None:
    for value in (1.0,) if name in ONE_SIDED else (-1.0, 1.0):
        effect = measured_effect(photographed.image, photographed.landmarks, name, value)
        assert 0.6 < effect.change / (value * PROPORTIONS[name].at_100) < 1.3
        assert effect.leak < 0.05
        assert effect.changed_outside == 0


def test_the_leak_is_the_unintended_movement() -> None:
    before = np.zeros((478, 3))
    after = before.copy()
    after[4] = (0.0, 0.3, 0.0)  # the tip of the nose
    found, feature = leak(before, after, ("lips",))
    assert feature == "nose"
    assert found > 0
    assert leak(before, after, ("nose",))[0] == 0
