from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.face.landmarks import LEFT_EYE, LEFT_IRIS, RIGHT_EYE, RIGHT_IRIS
from emulator.face.proportions import PROPORTIONS
from emulator.face.reshape import ReshapeParameters, displaced_landmarks, head_frame
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.face.types import Points3
from emulator.vendors.perfectcorp.wire import SIDED, Features

values = st.integers(-100, 100)

# Which way the quantity goes that stands in emulator.face.proportions, at 100, as the vendor's page
# has it: small to large, narrow to wide, low to high; the tip of the nose from up to down.
LESS_AT_100 = {"cheekbones", "jaw"}


@cache
def face() -> Points3:
    surface = render_face(SyntheticFaceSpec(width=64, height=64)).landmarks
    landmarks: Points3 = np.concatenate([surface, np.zeros((10, 3))])
    for iris, eye in ((RIGHT_IRIS, RIGHT_EYE), (LEFT_IRIS, LEFT_EYE)):
        landmarks[list(iris)] = surface[list(eye)].mean(axis=0)
    return landmarks


def changes(name: str, value: int) -> float:
    landmarks = face()
    frame = head_frame(landmarks)
    moved = displaced_landmarks(landmarks, Features.model_validate({name: value}).to_parameters())
    return PROPORTIONS[name].change(frame.to_head(landmarks), frame.to_head(moved))


@pytest.mark.parametrize("name", PROPORTIONS)
def test_every_feature_moves_its_quantity_in_the_documented_direction(name: str) -> None:
    sign = -1.0 if name in LESS_AT_100 else 1.0
    assert sign * changes(name, 100) > 0
    if name not in LESS_AT_100:
        assert changes(name, -100) < 0


def test_outward_tilt_turns_the_outer_corners_of_the_eyes_up() -> None:
    assert PROPORTIONS["eye_angle"].quantity == "tilt, outer corners up"
    assert changes("eye_angle", 100) == pytest.approx(5.0, rel=0.1)


def test_every_feature_reaches_the_face_core() -> None:
    for name in Features.model_fields:
        parameters = Features.model_validate({name: 50}).to_parameters()
        changed = {key for key in ReshapeParameters.__dataclass_fields__ if getattr(parameters, key) != 0.0}
        assert changed == ({f"{name}_left", f"{name}_right"} if name in SIDED else {name})
        assert {getattr(parameters, key) for key in changed} == {0.5}


@given(combined=values, left=st.none() | values, right=st.none() | values)
def test_a_side_that_was_sent_overrides_the_combined_value_also_with_zero(
    combined: int, left: int | None, right: int | None
) -> None:
    sent = {"eye_size": combined, "eye_size_left": left, "eye_size_right": right}
    features = Features.model_validate({name: value for name, value in sent.items() if value is not None})
    parameters = features.to_parameters()
    assert parameters.eye_size_left == (combined if left is None else left) / 100
    assert parameters.eye_size_right == (combined if right is None else right) / 100
