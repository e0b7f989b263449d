from __future__ import annotations

import numpy as np
import pytest

from emulator.face.displacement import displacement_field
from emulator.face.synthetic import SyntheticFaceSpec
from emulator.face.synthetic.render import render_backdrop
from emulator.face.warp import Share
from laboratory.background import LINE_DISTANCE, drawn_person, line_motion

UNIT = 100.0
SHAPE = (400, 400)


def test_the_measured_motion_of_a_line_is_that_of_the_field() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    person = np.hypot(x - 200, y - 200) < 90
    landmarks = np.full((478, 3), 200.0)
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    outward = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    line = 200 + (90 + LINE_DISTANCE * UNIT) * outward
    # The line shrinks by 4 pixels, away from what is measured as covered.
    field = displacement_field(line, line + 4.0 * outward, SHAPE, radius=80)
    moved = line_motion(person, landmarks, UNIT, field, None).pixels
    assert len(moved) > 300
    assert moved == pytest.approx(4.0, abs=0.5)
    still = Share((0.0, 0.0), (400.0, 400.0), np.zeros((2, 2), np.float32))
    assert line_motion(person, landmarks, UNIT, field, still).pixels.max() == 0


def test_points_that_the_person_covers_are_left_out() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    person = np.hypot(x - 200, y - 200) < 90
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    outline = 200 + 90 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    wider = np.array([[12.0, 0.0]]) * (outline[:, :1] > 260)
    field = displacement_field(outline, outline + wider, SHAPE, radius=80)
    motion = line_motion(person, np.full((478, 3), 200.0), UNIT, field, None)
    assert motion.covered > 20


def test_the_mask_of_a_synthetic_face_is_where_the_picture_differs_from_its_backdrop() -> None:
    spec = SyntheticFaceSpec(seed=2, width=160, height=160)
    image, person = drawn_person(spec)
    assert 0.2 < person.mean() < 0.9
    away = np.abs(image.astype(int) - render_backdrop(spec)).max(axis=2)
    assert away[~person].max() <= 12
