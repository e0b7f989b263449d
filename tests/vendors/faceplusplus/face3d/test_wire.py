"""Response models of 3D Face."""

from __future__ import annotations

import json
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.face.pose import Pose, WeakPerspective, rotation_matrix
from emulator.pipelines.options import View, Wavefront
from emulator.vendors.faceplusplus.face3d.wire import (
    MILLIMETRES_PER_CM,
    float32_number,
    render_success,
    transfer_matrix,
)

floats = st.floats(-1e6, 1e6, width=32)


@given(floats)
def test_a_number_reads_back_as_the_same_float32(value: float) -> None:
    written = float32_number(value)
    assert np.float32(written) == np.float32(value)
    assert isinstance(written, int) == float(value).is_integer()


def test_numbers_are_written_like_the_vendors_sample() -> None:
    sample = [6.7192183, -0.27454704, -69.249084, 0.017390553, 0, 1]
    assert [str(float32_number(float(np.float32(number)))) for number in sample] == [
        str(number) for number in sample
    ]


@given(
    yaw=st.floats(-60, 60),
    pitch=st.floats(-60, 60),
    roll=st.floats(-60, 60),
    scale=st.floats(1, 200),
    center=st.tuples(st.floats(0, 1000), st.floats(0, 800)),
)
def test_the_matrix_maps_a_vertex_to_its_pixel(
    yaw: float, pitch: float, roll: float, scale: float, center: tuple[float, float]
) -> None:
    camera = WeakPerspective(scale, rotation_matrix(Pose(yaw, pitch, roll)), np.array(center))
    vertices_cm = np.random.default_rng(0).normal(scale=5, size=(20, 3))
    matrix = transfer_matrix(View(camera, width=1000, height=800))
    x, y, z, one = matrix @ np.column_stack([vertices_cm * MILLIMETRES_PER_CM, np.ones(20)]).T
    pixels = camera.project(vertices_cm)
    np.testing.assert_allclose(1000 / 2 + x - 0.5, pixels[:, 0], atol=1e-8)
    np.testing.assert_allclose(800 / 2 - y - 0.5, pixels[:, 1], atol=1e-8)
    # Face++ divides the depth by this factor. Its depth grows towards the camera, the emulator's does not.
    np.testing.assert_allclose(z * 11.0235, -(pixels[:, 2]), atol=1e-6)
    assert (one == 1).all()


@pytest.mark.parametrize(
    ("setting", "members"),
    [
        ("absent", {}),
        ("null", {"mtl_file": None, "texture_img": None}),
        ("empty", {"mtl_file": "", "texture_img": ""}),
    ],
)
def test_members_that_were_not_requested_follow_the_setting(
    setting: Literal["absent", "null", "empty"], members: dict[str, str | None]
) -> None:
    view = View(WeakPerspective(10.0, np.eye(3), np.array([49.5, 39.5])), width=100, height=80)
    head = Wavefront(obj="o", mtl="m", texture=b"t", views=(view,))
    response = render_success(
        head, request_id="1,2", texture=False, mtl=False, time_used_ms=3, absent_members=setting
    )
    body = json.loads(bytes(response.body))
    assert {name: body[name] for name in ("mtl_file", "texture_img") if name in body} == members
    order = ["request_id", "mtl_file", "obj_file", "texture_img", "time_used", "transfer_matrix"]
    assert list(body) == [name for name in order if name in body]
    assert (body["request_id"], body["obj_file"], body["time_used"]) == ("1,2", "bw==", 3)
    assert body["transfer_matrix"] == [[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0.09071529, 0, 0, 0, 0, 1]]
