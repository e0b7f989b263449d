"""The attributes of a face."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.face.appearance import Attributes, EyeState, FaceState
from emulator.face.pose import Pose
from emulator.vendors.faceplusplus.detect.attributes import ATTRIBUTES, Described
from emulator.vendors.faceplusplus.wire import shares

OPEN = EyeState(1.0, (0.5, 0.5), (0.0, 0.0, -1.0))
CLOSED = replace(OPEN, opening=0.0)
STATE = FaceState(Pose(0.0, 0.0, 0.0), OPEN, OPEN, 0.0, 0.0, 0.0, covered_mouth=False, dark_lenses=False)
LOOKS = Attributes(
    skin_color=np.zeros(3, np.uint8),
    hair_color=np.zeros(3, np.uint8),
    hair_length="short",
    hair_texture="straight",
    gender="female",
    glasses=False,
    blink_correction=1.0,
)
FACE = Described(STATE, LOOKS, 200.0, b"photo", (0, 100))


def attribute(name: str, face: Described = FACE, **changes: Any) -> Any:
    """Return an attribute of a face, after changes to its state."""
    changed = replace(face, state=replace(face.state, **changes))
    return ATTRIBUTES[name][1](changed).model_dump()


def test_left_is_the_left_of_the_picture() -> None:
    eyes = attribute("eyestatus", left_eye=CLOSED)
    assert eyes["right_eye_status"]["no_glass_eye_close"] == Decimal("97.000")
    assert eyes["left_eye_status"]["no_glass_eye_open"] == Decimal("97.000")
    gazes = attribute("eyegaze", left_eye=replace(OPEN, iris=(0.9, 0.5)))
    assert gazes["right_eye_gaze"]["position_x_coordinate"] == Decimal("0.900")


def test_glasses_decide_the_state_of_an_eye() -> None:
    glasses = replace(FACE, attributes=replace(LOOKS, glasses=True))
    for face, dark, expected in (
        (FACE, False, "no_glass_eye_open"),
        (FACE, True, "no_glass_eye_open"),
        (glasses, False, "normal_glass_eye_open"),
        (glasses, True, "dark_glasses"),
    ):
        eyes = attribute("eyestatus", face, dark_lenses=dark)
        for eye in ("left_eye_status", "right_eye_status"):
            states: dict[str, Decimal] = eyes[eye]
            assert max(states, key=states.__getitem__) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "close"),
        ({"mouth_opening": 1.0}, "open"),
        ({"covered_mouth": True}, "surgical_mask_or_respirator"),
    ],
)
def test_the_mouth_is_open_closed_or_covered(changes: dict[str, Any], expected: str) -> None:
    states = attribute("mouthstatus", **changes)
    assert max(states, key=states.__getitem__) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "neutral"),
        ({"smile": 1.0}, "happiness"),
        ({"smile": 1.0, "mouth_opening": 1.0}, "happiness"),
        ({"mouth_opening": 1.0}, "surprise"),
    ],
)
def test_the_emotion_follows_the_smile_and_the_mouth(changes: dict[str, Any], expected: str) -> None:
    found = attribute("emotion", **changes)
    assert max(found, key=found.__getitem__) == expected
    assert sum(found.values()) == 100


def test_the_quality_falls_with_blur_turn_size_and_cover() -> None:
    good = attribute("facequality")
    assert good == {"value": Decimal("100.000"), "threshold": Decimal("70.100")}
    for worse in (
        attribute("facequality", blur=0.4),
        attribute("facequality", pose=Pose(50.0, 0.0, 0.0)),
        attribute("facequality", pose=Pose(0.0, -40.0, 0.0)),
        attribute("facequality", covered_mouth=True),
        attribute("facequality", replace(FACE, width=60.0)),
    ):
        assert worse["value"] < 70.1
    assert attribute("facequality", pose=Pose(0.0, 0.0, 90.0)) == good


def test_what_is_made_up_depends_on_the_photo_alone() -> None:
    for name in ("age", "beauty", "skinstatus"):
        values = [attribute(name, replace(FACE, seed=bytes([one]))) for one in range(20)]
        assert attribute(name) == attribute(name, smile=1.0)
        assert len({str(value) for value in values}) > 10
    ages = [attribute("age", replace(FACE, seed=bytes([one])))["value"] for one in range(99)]
    assert min(ages) >= 18
    assert max(ages) <= 60


def test_beauty_is_between_the_requested_scores() -> None:
    plain, narrow = attribute("beauty"), attribute("beauty", replace(FACE, beauty=(50, 60)))
    for name, value in narrow.items():
        assert value == pytest.approx(50 + plain[name] / 10, abs=Decimal("0.001"))


@given(st.dictionaries(st.text(max_size=3), st.floats(1e-6, 1), min_size=1, max_size=8))
def test_shares_add_up_to_100(weights: dict[str, float]) -> None:
    found = shares(weights)
    assert sum(found.values()) == 100
    assert all(value.as_tuple().exponent == -3 for value in found.values())
    total = sum(weights.values())
    for name, value in found.items():
        assert float(value) == pytest.approx(100 * weights[name] / total, abs=0.005)
