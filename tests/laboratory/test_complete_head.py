from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emulator.face.complete_head import complete_head_data
from emulator.face.landmarks import LOWER_LIP_INNER, SURFACE_COUNT, UPPER_LIP_INNER
from laboratory.complete_head import _other_side, _read_parts, lip_offsets

OBJ = """
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 0 0 9
vt 0.5 0.25
vt 0.75 0.25
g helper-l-eyelashes-1
f 5/1 1/1 2/1 3/1
g body
f 1/1 2/2 3/1 4/2
g helper-r-eye
f 4/1 3/1 2/1 1/1
g helper-l-eye
f 4/1 3/1 2/1 1/1
g helper-upper-teeth
f 4/1 3/1 2/1 1/1
g helper-lower-teeth
f 4/1 3/1 2/1 1/1
g helper-tongue
f 4/1 3/1 2/1 1/1
"""


def test_the_parts_of_a_head_are_read_without_the_eyelashes(tmp_path: Path) -> None:
    path = tmp_path / "base.obj"
    path.write_text(OBJ)
    vertices, uv, parts = _read_parts(path)
    assert vertices.shape == (5, 3)
    assert uv.tolist() == [[0.5, 0.25], [0.75, 0.25]]
    assert parts["body"].corners.tolist() == [[0, 1, 2, 3]]
    assert parts["body"].uv_corners.tolist() == [[0, 1, 0, 1]]
    assert len(parts) == 6


@pytest.mark.parametrize(
    ("name", "other"),
    [("eyeBlinkLeft", "eyeBlinkRight"), ("jawRight", "jawLeft"), ("jawOpen", "jawOpen")],
)
def test_face_units_have_mirror_images(name: str, other: str) -> None:
    assert _other_side(name) == other
    assert other in complete_head_data().units


def test_closed_lips_get_the_distance_that_they_have_in_makehumans_head() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(SURFACE_COUNT, 3))
    touching = rng.normal(size=(SURFACE_COUNT, 3))
    offsets = lip_offsets(seen, touching)
    closed = np.zeros((SURFACE_COUNT, 3))
    upper, lower = list(UPPER_LIP_INNER[1:-1]), list(LOWER_LIP_INNER[1:-1])
    closed[upper, 1] = 0.03
    apart = (closed + offsets)[upper] - (closed + offsets)[lower]
    np.testing.assert_allclose(apart[:, 1:], (touching[upper] - touching[lower])[:, 1:])
    assert not offsets[:, 0].any()
    assert not np.delete(offsets, [*upper, *lower], axis=0).any()
