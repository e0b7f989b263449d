from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from emulator.face.errors import NoFaceFound
from emulator.face.fit import fit_head
from emulator.pipelines.core import detector
from emulator.pipelines.measure import measure_face
from emulator.pipelines.options import ImageRules, MeasureOptions

FACES = Path(__file__).parents[2] / "fixtures" / "faces"
RULES = ImageRules(frozenset({"jpeg"}))


def options(*, straighten: bool = False, rules: ImageRules = RULES, shortest: float = 48.0) -> MeasureOptions:
    return MeasureOptions(rules, shortest, 0.0, straighten)


def photo(name: str) -> bytes:
    return (FACES / f"{name}.jpg").read_bytes()


def test_the_straightened_picture_has_the_same_size_and_an_upright_head() -> None:
    found = measure_face(photo("tilted-40"), options(straighten=True))
    assert found.pose.roll == pytest.approx(40.0, abs=4.0)
    assert found.straightened is not None
    with PillowImage.open(io.BytesIO(found.straightened)) as opened:
        assert (opened.format, opened.size) == ("JPEG", (found.width, found.height))
        (face,) = detector().detect(np.asarray(opened.convert("RGB")))
    assert abs(fit_head(face.landmarks).pose.roll) < 3.0
    # The picture turns around the middle of the face.
    before = found.landmarks[:, :2]
    middle = (before.min(axis=0) + before.max(axis=0)) / 2
    roll = np.radians(found.pose.roll)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    expected = (before - middle) @ turn + middle
    assert np.linalg.norm(face.landmarks[:, :2] - expected, axis=1).mean() < 5.0


def test_a_reduced_picture_gives_the_same_measurements() -> None:
    whole = measure_face(photo("ok-frontal"), options())
    few = ImageRules(frozenset({"jpeg"}), most_pixels=whole.width * whole.height // 3)
    reduced = measure_face(photo("ok-frontal"), options(rules=few))
    assert (reduced.width, reduced.height) == (whole.width, whole.height)
    assert np.abs(reduced.landmarks - whole.landmarks)[:, :2].mean() < 1.5
    assert reduced.proportions.face_height == pytest.approx(whole.proportions.face_height, rel=0.03)
    assert whole.straightened is None


def test_a_face_that_is_too_small_is_not_found() -> None:
    with pytest.raises(NoFaceFound):
        measure_face(photo("ok-frontal"), options(shortest=500.0))
    with pytest.raises(NoFaceFound):
        measure_face(photo("no-face"), options())


def test_the_same_picture_gives_the_same_result() -> None:
    one, other = (measure_face(photo("ok-left"), options(straighten=True)) for _ in range(2))
    assert one.proportions == other.proportions
    assert one.straightened == other.straightened
