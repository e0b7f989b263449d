"""The rectangle of a face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emulator.face.landmarks import CHIN_TIP, LEFT_EYEBROW, RIGHT_EYEBROW
from emulator.vendors.faceplusplus.rectangle import face_rectangle

FACE = json.loads((Path(__file__).parents[3] / "fixtures" / "faces" / "ok-frontal.json").read_text())
LANDMARKS = np.array(FACE["faces"][0]["landmarks"])


def test_the_rectangle_is_a_square_from_the_brows_to_the_chin() -> None:
    found = face_rectangle(LANDMARKS, 640, 640)
    assert found.width == found.height
    assert abs(found.left + found.width / 2 - LANDMARKS[4, 0]) < 0.05 * found.width
    brows = LANDMARKS[[*LEFT_EYEBROW, *RIGHT_EYEBROW], 1].min()
    assert abs(found.top - brows) < 0.15 * found.height
    assert abs(found.top + found.height - LANDMARKS[CHIN_TIP, 1]) < 0.15 * found.height


@given(st.floats(-2000, 2000), st.floats(-2000, 2000), st.floats(0.01, 4))
def test_the_rectangle_stays_in_the_picture(x: float, y: float, scale: float) -> None:
    found = face_rectangle(LANDMARKS * scale + np.array([x, y, 0]), 640, 480)
    assert 0 <= found.left <= 640
    assert 0 <= found.top <= 480
    assert found.left + found.width <= 641
    assert found.top + found.height <= 481
    assert min(found.width, found.height) >= 1
