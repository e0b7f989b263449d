from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image as PillowImage

from emulator.face.canonical import canonical_mesh
from emulator.face.mesh import Mesh, vertex_normals
from emulator.face.obj import write_mtl, write_obj

TRIANGLE = np.array([[0, 1, 2]], np.int32)


def test_trimesh_reads_back_the_same_mesh_and_finds_its_texture(tmp_path: Path) -> None:
    mesh = canonical_mesh()
    normals = vertex_normals(mesh.vertices, mesh.triangles)
    text = write_obj(mesh, normals)
    (tmp_path / "face.obj").write_text(text, encoding="ascii")
    (tmp_path / "face.mtl").write_text(write_mtl("face", "tex.png"), encoding="ascii")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    PillowImage.fromarray(pixels).save(tmp_path / "tex.png")

    read = trimesh.load_mesh(tmp_path / "face.obj", process=False, maintain_order=True)

    np.testing.assert_array_equal(np.asarray(read.vertices, np.float32), mesh.vertices.astype(np.float32))
    np.testing.assert_array_equal(read.faces, mesh.triangles)
    assert isinstance(read.visual, trimesh.visual.TextureVisuals)
    np.testing.assert_array_equal(np.asarray(read.visual.uv, np.float32), mesh.uv.astype(np.float32))
    # trimesh computes its own normals, so read the normals from the text.
    written = [line.split()[1:] for line in text.splitlines() if line.startswith("vn ")]
    np.testing.assert_array_equal(np.array(written, np.float32), normals.astype(np.float32))
    np.testing.assert_array_equal(np.asarray(read.visual.material.image.convert("RGB")), pixels)


@given(
    arrays.arrays(
        np.float64, (3, 3), elements=st.floats(-1e6, 1e6, width=32, allow_nan=False, allow_infinity=False)
    )
)
def test_numbers_read_back_to_the_same_float32_without_exponents(vertices: NDArray[np.float64]) -> None:
    mesh = Mesh(vertices, TRIANGLE, np.zeros((3, 2)), TRIANGLE)
    lines = [line for line in write_obj(mesh, np.ones((3, 3))).splitlines() if line.startswith("v ")]
    read = np.array([[np.float32(word) for word in line.split()[1:]] for line in lines])
    np.testing.assert_array_equal(read, vertices.astype(np.float32))
    assert not any("e" in line for line in lines)


def test_one_triangle_gives_the_expected_obj() -> None:
    mesh = Mesh(
        np.array([[0, 0, 0], [1, 0, 0], [0, 0.1, 0]], np.float64),
        TRIANGLE,
        np.array([[0, 0], [1, 0], [0, 1]], np.float64),
        np.array([[2, 0, 1]], np.int32),
    )
    normals = np.tile([0.0, 0.0, 1.0], (3, 1))
    assert write_obj(mesh, normals, "a.mtl", "skin") == (
        "mtllib a.mtl\no skin\nv 0 0 0\nv 1 0 0\nv 0 0.1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
        "vn 0 0 1\nvn 0 0 1\nvn 0 0 1\nusemtl skin\nf 1/3/1 2/1/2 3/2/3\n"
    )


def test_a_material_gives_the_expected_mtl() -> None:
    assert write_mtl("skin", "tex.jpg") == (
        "newmtl skin\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nd 1\nillum 1\nmap_Kd tex.jpg\n"
    )


@pytest.mark.parametrize("name", ["", "two words", "line\nbreak", "caf\u00e9"])
def test_names_that_obj_cannot_contain_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        write_mtl(name, "tex.jpg")
    with pytest.raises(ValueError, match="printable ASCII"):
        write_obj(canonical_mesh(), canonical_mesh().vertices, name)


def test_normals_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="normals"):
        write_obj(canonical_mesh(), np.zeros((3, 3)))
