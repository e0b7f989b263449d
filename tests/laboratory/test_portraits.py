from __future__ import annotations

import numpy as np
import pytest

from emulator.face.canonical import canonical_mesh
from emulator.face.pose import Pose
from laboratory.portraits import Paint, portrait


def paint() -> Paint:
    count = len(canonical_mesh().vertices)
    lips, brows = np.zeros(count), np.zeros(count)
    lips[:10], brows[10:20] = 1.0, 1.0
    return Paint((np.arange(100, 120, dtype=np.int32),), lips, brows)


@pytest.mark.parametrize("seed", range(5))
def test_lips_brows_and_eyes_have_other_colours_than_the_skin(seed: int) -> None:
    colors = paint().colors(canonical_mesh().vertices, np.random.default_rng(seed))
    skin = colors[200]
    assert 0.0 <= colors.min() <= colors.max() <= 1.0
    np.testing.assert_array_equal(colors[120:], np.tile(skin, (len(colors) - 120, 1)))
    assert (colors[:10] < skin).all()
    assert (np.abs(colors[10:20] - skin).max(axis=1) > 0.01).all()
    assert len(np.unique(colors[100:120], axis=0)) >= 2


def test_a_portrait_shows_the_head_where_its_camera_projects_it() -> None:
    mesh, rng = canonical_mesh(), np.random.default_rng(3)
    colors = np.tile([1.0, 0.0, 0.0], (len(mesh.vertices), 1))
    image, camera = portrait(mesh.vertices, mesh.triangles, colors, Pose(20, 5, -10), rng, size=200)
    assert image.shape == (200, 200, 3)
    assert image.dtype == np.uint8
    red = (image[:, :, 0].astype(int) - image[:, :, 1]) > 40
    rows, columns = np.nonzero(red)
    expected = camera.project(mesh.vertices)
    for found, wanted in ((columns, expected[:, 0]), (rows, expected[:, 1])):
        assert (found.min(), found.max()) == pytest.approx((wanted.min(), wanted.max()), abs=2.5)
    # The background has one grey level.
    assert len(np.unique(image[:5].reshape(-1, 3), axis=0)) == 1


def test_a_seed_determines_a_portrait() -> None:
    mesh = canonical_mesh()
    pictures = [
        portrait(
            mesh.vertices,
            mesh.triangles,
            paint().colors(mesh.vertices, np.random.default_rng(seed)),
            Pose(0, 0, 0),
            np.random.default_rng(seed),
            size=64,
        )[0]
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
