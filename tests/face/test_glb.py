from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import trimesh
from glb_files import unpacked, values, view
from PIL import Image as PillowImage

from emulator.face.glb import Material, Morph, Part, write_glb


def picture(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def sphere(name: str, *, seed: int = 0, texture: bytes | None = None, moved: int | None = None) -> Part:
    """Return a sphere with the morph target "swell" of its first ``moved`` vertices."""
    ball = trimesh.creation.icosphere(subdivisions=2, radius=3.0)
    count = len(ball.vertices)
    rng = np.random.default_rng(seed)
    morphs = {} if moved is None else {"swell": Morph(np.arange(moved), rng.normal(size=(moved, 3)))}
    return Part(
        name,
        np.asarray(ball.vertices, np.float64) + seed,
        np.asarray(ball.faces, np.int32),
        np.asarray(ball.vertices, np.float64) / 3.0,
        rng.random((count, 2)),
        Material(
            f"look of {name}", (0.1, 0.02, 0.003, 0.5), texture, "BLEND", double_sided=True, roughness=0.3
        ),
        morphs,
    )


def test_a_part_is_in_metres_with_all_that_belongs_to_it() -> None:
    part = sphere("ball", texture=picture("PNG"))
    tree, binary = unpacked(write_glb([part]))
    (primitive,) = tree["meshes"][0]["primitives"]
    attributes = {name: values(tree, binary, index) for name, index in primitive["attributes"].items()}
    np.testing.assert_array_equal(attributes["POSITION"], (part.vertices / 100).astype(np.float32))
    np.testing.assert_allclose(attributes["NORMAL"], part.normals, atol=1e-7)
    assert part.uv is not None
    np.testing.assert_allclose(attributes["TEXCOORD_0"], part.uv * (1, -1) + (0, 1), atol=1e-7)
    np.testing.assert_array_equal(values(tree, binary, primitive["indices"]).reshape(-1, 3), part.triangles)
    assert {"min", "max"} <= set(tree["accessors"][primitive["attributes"]["POSITION"]])
    assert tree["nodes"] == [{"name": "ball", "mesh": 0}]
    assert tree["scenes"][tree["scene"]] == {"nodes": [0]}


def test_a_material_keeps_its_exact_colour() -> None:
    tree, _ = unpacked(write_glb([sphere("ball")]))
    assert tree["materials"] == [
        {
            "name": "look of ball",
            "pbrMetallicRoughness": {
                "baseColorFactor": [0.1, 0.02, 0.003, 0.5],
                "metallicFactor": 0.0,
                "roughnessFactor": 0.3,
            },
            "alphaMode": "BLEND",
            "doubleSided": True,
        }
    ]


def test_a_masked_material_has_a_threshold_and_an_opaque_one_has_the_defaults() -> None:
    part = sphere("ball")
    (masked,) = unpacked(write_glb([replace(part, material=Material("m", alpha="MASK"))]))[0]["materials"]
    assert (masked["alphaMode"], masked["alphaCutoff"]) == ("MASK", 0.5)
    (opaque,) = unpacked(write_glb([replace(part, material=Material("m"))]))[0]["materials"]
    assert not {"alphaMode", "alphaCutoff", "doubleSided"} & set(opaque)


@pytest.mark.parametrize(("kind", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg")])
def test_a_texture_is_embedded_once_and_without_a_change(kind: str, media_type: str) -> None:
    texture = picture(kind)
    tree, binary = unpacked(
        write_glb([sphere("one", texture=texture), sphere("two", seed=1, texture=texture)])
    )
    (image,) = tree["images"]
    assert image["mimeType"] == media_type
    assert view(tree, binary, image["bufferView"]) == texture
    for material in tree["materials"]:
        index = material["pbrMetallicRoughness"]["baseColorTexture"]["index"]
        assert tree["textures"][index] == {"source": 0, "sampler": 0}


@pytest.mark.parametrize("moved", [1, 20, 161, 162])
def test_morph_targets_are_stored_in_the_shorter_form(moved: int) -> None:
    part = sphere("ball", moved=moved)
    tree, binary = unpacked(write_glb([part]))
    (mesh,) = tree["meshes"]
    assert mesh["extras"] == {"targetNames": ["swell"]}
    (target,) = mesh["primitives"][0]["targets"]
    expected = np.zeros((162, 3), np.float32)
    expected[:moved] = part.morphs["swell"].displacements / 100
    np.testing.assert_allclose(values(tree, binary, target["POSITION"]), expected, rtol=1e-6)
    assert ("sparse" in tree["accessors"][target["POSITION"]]) == (moved * (1 + 12) < 162 * 12)


def test_parts_of_one_mesh_share_all_targets_and_those_that_do_not_move_store_nothing() -> None:
    parts = [sphere("still"), sphere("moving", seed=1, moved=5)]
    tree, binary = unpacked(write_glb(parts, "both"))
    (mesh,) = tree["meshes"]
    assert (mesh["name"], mesh["extras"]) == ("both", {"targetNames": ["swell"]})
    assert tree["nodes"] == [{"name": "both", "mesh": 0}]
    still, moving = (primitive["targets"][0]["POSITION"] for primitive in mesh["primitives"])
    assert not values(tree, binary, still).any()
    assert not {"bufferView", "sparse"} & set(tree["accessors"][still])
    assert values(tree, binary, moving)[:5].all()


def test_parts_are_meshes_of_their_own_by_default() -> None:
    tree, _ = unpacked(write_glb([sphere("one"), sphere("two", seed=1, moved=5)]))
    assert [mesh["name"] for mesh in tree["meshes"]] == ["one", "two"]
    assert tree["nodes"] == [{"name": "one", "mesh": 0}, {"name": "two", "mesh": 1}]
    assert "extras" not in tree["meshes"][0]


def test_the_same_parts_give_the_same_bytes() -> None:
    def written() -> bytes:
        return write_glb([sphere("one", texture=picture("PNG"), moved=9), sphere("two", seed=1)], "both")

    assert written() == written()


def test_trimesh_reads_the_parts_back() -> None:
    read = trimesh.load_scene(
        io.BytesIO(write_glb([sphere("ball", texture=picture("PNG"))])), file_type="glb"
    )
    mesh = read.geometry["ball"]
    assert isinstance(mesh, trimesh.Trimesh)
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.03**3, rel=0.06)


NAN = np.full((162, 3), np.nan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices": NAN}, "ball: vertices must be finite"),
        ({"normals": np.zeros((3, 3))}, "ball: normals must be"),
        ({"triangles": np.zeros((0, 3), np.int32)}, "ball: triangles must be"),
        ({"triangles": np.array([[0, 1, 162]], np.int32)}, "ball: triangles must be below 162"),
        ({"uv": np.zeros((3, 2))}, "ball: uv must be"),
        ({"uv": None, "material": Material("m", texture=picture("PNG"))}, "ball: a texture needs uv"),
        ({"material": Material("m", texture=b"GIF89a")}, "a texture must be a PNG or a JPEG"),
        ({"morphs": {"m": Morph(np.array([1]), np.zeros((2, 3)))}}, "m must have one displacement"),
        ({"morphs": {"m": Morph(np.array([2, 1]), np.zeros((2, 3)))}}, "the vertices of m must ascend"),
        ({"morphs": {"m": Morph(np.array([162]), np.zeros((1, 3)))}}, "the vertices of m must ascend"),
        ({"morphs": {"m": Morph(np.arange(162), NAN)}}, "m must be finite"),
    ],
)
def test_what_cannot_be_written_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_glb([replace(sphere("ball"), **change)])


def test_there_must_be_parts_with_different_names() -> None:
    with pytest.raises(ValueError, match="parts must not be empty"):
        write_glb([])
    with pytest.raises(ValueError, match="names of the parts must differ"):
        write_glb([sphere("ball"), sphere("ball")])
