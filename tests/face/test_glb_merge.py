from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from glb_files import unpacked, values, view
from hypothesis import given
from hypothesis import strategies as st

from emulator.face.errors import GlbUnreadable, NotGlb
from emulator.face.glb import Material, Morph, Part, write_glb
from emulator.face.glb_merge import Glb, merge, pack_glb, read_glb, repaint

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float64)
TRIANGLE = np.array([[0, 1, 2]], np.int32)
PNG = b"\x89PNG\r\n\x1a\n and so on"


def model(name: str, at: float = 0.0) -> bytes:
    """Return a GLB with a triangle at a height in centimetres, a texture and a morph target."""
    vertices = CORNERS + np.array([0.0, 0.0, at])
    look = Material(f"{name} skin", (0.1, 0.2, 0.3, 0.4), PNG + name.encode(), "BLEND")
    morphs = {"rise": Morph(np.array([1]), np.array([[0.0, at, 0.0]]))}
    return write_glb(
        [Part(name, vertices, TRIANGLE, np.tile([0.0, 0, 1], (3, 1)), CORNERS[:, :2], look, morphs)]
    )


# All kinds of references between objects, and one array of each kind. Each index is 0 or 1.
RICH: dict[str, Any] = {
    "asset": {"version": "2.0", "generator": "another"},
    "scene": 1,
    "scenes": [{"nodes": [1]}, {"nodes": [0]}],
    "nodes": [
        {"name": "root", "children": [1], "extensions": {"KHR_lights_punctual": {"light": 1}}},
        {"name": "limb", "mesh": 0, "skin": 0, "camera": 0},
    ],
    "meshes": [
        {
            "primitives": [
                {
                    "attributes": {"POSITION": 0, "JOINTS_0": 1, "WEIGHTS_0": 1},
                    "indices": 1,
                    "material": 0,
                    "targets": [{"POSITION": 1, "NORMAL": 0}],
                    "extensions": {
                        "KHR_materials_variants": {"mappings": [{"material": 0, "variants": [1]}]}
                    },
                }
            ]
        }
    ],
    "skins": [{"joints": [0, 1], "skeleton": 0, "inverseBindMatrices": 1}],
    "cameras": [{"type": "perspective", "perspective": {"yfov": 1.0, "znear": 0.1}}],
    "animations": [
        {
            "samplers": [{"input": 0, "output": 1}],
            "channels": [{"sampler": 0, "target": {"node": 1, "path": "rotation"}}],
        }
    ],
    "accessors": [
        {"bufferView": 0, "componentType": 5126, "count": 2, "type": "SCALAR"},
        {
            "componentType": 5126, "count": 2, "type": "SCALAR",
            "sparse": {
                "count": 1,
                "indices": {"bufferView": 1, "componentType": 5121},
                "values": {"bufferView": 0, "byteOffset": 4},
            },
        },
    ],
    "bufferViews": [{"buffer": 0, "byteLength": 8}, {"buffer": 1, "byteOffset": 4, "byteLength": 4}],
    "buffers": [
        {"byteLength": 8},
        {"byteLength": 8, "uri": "data:;base64," + base64.b64encode(bytes(8)).decode()},
    ],
    "images": [{"bufferView": 0, "mimeType": "image/png"}, {"uri": "data:image/png;base64,AAAA"}],
    "samplers": [{"magFilter": 9729}],
    "textures": [
        {"source": 0, "sampler": 0},
        {"extensions": {"EXT_texture_webp": {"source": 1}}},
    ],
    "materials": [
        {
            "name": "coat",
            "pbrMetallicRoughness": {
                "baseColorTexture": {"index": 0}, "metallicRoughnessTexture": {"index": 1},
            },
            "normalTexture": {"index": 1}, "occlusionTexture": {"index": 0}, "emissiveTexture": {"index": 1},
            "extensions": {"KHR_materials_clearcoat": {"clearcoatTexture": {"index": 1}}},
        }
    ],
    "extensions": {
        "KHR_lights_punctual": {"lights": [{"type": "point"}, {"type": "directional"}]},
        "KHR_materials_variants": {"variants": [{"name": "a"}, {"name": "b"}]},
    },
    "extensionsUsed": ["KHR_lights_punctual", "KHR_materials_variants", "EXT_texture_webp"],
    "extensionsRequired": ["EXT_texture_webp"],
}  # fmt: skip
RICH_BINARY = struct.pack("<2f", 1.5, 2.5)


def rich(change: Callable[[dict[str, Any]], None] | None = None) -> bytes:
    tree = json.loads(json.dumps(RICH))
    if change is not None:
        change(tree)
    return pack_glb(Glb(tree, RICH_BINARY))


def test_a_merged_file_has_all_meshes_with_their_own_data() -> None:
    files = [model("one"), model("two", 5.0), model("three", 9.0)]
    tree, binary = unpacked(pack_glb(merge([read_glb(data) for data in files])))
    assert [node["name"] for node in tree["nodes"]] == ["one", "two", "three"]
    assert tree["scenes"] == [{"nodes": [0, 1, 2]}]
    assert tree["asset"] == {"version": "2.0", "generator": "face-api-emulator"}
    for number, data in enumerate(files):
        alone, own = unpacked(data)
        mesh, expected = tree["meshes"][tree["nodes"][number]["mesh"]], alone["meshes"][0]
        assert mesh["extras"] == expected["extras"]
        (after,), (before,) = mesh["primitives"], expected["primitives"]
        for name in before["attributes"]:
            np.testing.assert_array_equal(
                values(tree, binary, after["attributes"][name]),
                values(alone, own, before["attributes"][name]),
            )
        for key in ("indices",):
            np.testing.assert_array_equal(values(tree, binary, after[key]), values(alone, own, before[key]))
        np.testing.assert_array_equal(
            values(tree, binary, after["targets"][0]["POSITION"]),
            values(alone, own, before["targets"][0]["POSITION"]),
        )
        material = tree["materials"][after["material"]]
        assert material["name"] == alone["materials"][0]["name"]
        texture = tree["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
        image = tree["images"][texture["source"]]
        assert view(tree, binary, image["bufferView"]) == PNG + alone["nodes"][0]["name"].encode()


def test_every_reference_of_a_second_file_is_shifted() -> None:
    merged = merge([read_glb(rich()), read_glb(rich())]).tree
    nodes = merged["nodes"][2:]
    assert nodes[0] == {"name": "root", "children": [3], "extensions": {"KHR_lights_punctual": {"light": 3}}}
    assert nodes[1] == {"name": "limb", "mesh": 1, "skin": 1, "camera": 1}
    assert merged["meshes"][1]["primitives"] == [
        {
            "attributes": {"POSITION": 2, "JOINTS_0": 3, "WEIGHTS_0": 3},
            "indices": 3,
            "material": 1,
            "targets": [{"POSITION": 3, "NORMAL": 2}],
            "extensions": {"KHR_materials_variants": {"mappings": [{"material": 1, "variants": [3]}]}},
        }
    ]
    assert merged["skins"][1] == {"joints": [2, 3], "skeleton": 2, "inverseBindMatrices": 3}
    assert merged["animations"][1] == {
        "samplers": [{"input": 2, "output": 3}],
        "channels": [{"sampler": 0, "target": {"node": 3, "path": "rotation"}}],
    }
    assert merged["accessors"][2]["bufferView"] == 2
    sparse = merged["accessors"][3]["sparse"]
    assert (sparse["indices"]["bufferView"], sparse["values"]["bufferView"]) == (3, 2)
    # The two buffers of each file are 8 bytes long.
    assert merged["bufferViews"] == [
        {"buffer": 0, "byteOffset": offset, "byteLength": length}
        if offset
        else {"buffer": 0, "byteLength": length, "byteOffset": 0}
        for offset, length in ((0, 8), (12, 4), (16, 8), (28, 4))
    ]
    assert merged["buffers"] == [{"byteLength": 32}]
    assert merged["images"][2:] == [
        {"bufferView": 2, "mimeType": "image/png"}, {"uri": "data:image/png;base64,AAAA"},
    ]  # fmt: skip
    assert merged["textures"][2:] == [
        {"source": 2, "sampler": 1}, {"extensions": {"EXT_texture_webp": {"source": 3}}},
    ]  # fmt: skip
    assert merged["materials"][1] == {
        "name": "coat",
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": 2}, "metallicRoughnessTexture": {"index": 3},
        },
        "normalTexture": {"index": 3}, "occlusionTexture": {"index": 2}, "emissiveTexture": {"index": 3},
        "extensions": {"KHR_materials_clearcoat": {"clearcoatTexture": {"index": 3}}},
    }  # fmt: skip
    assert len(merged["extensions"]["KHR_lights_punctual"]["lights"]) == 4
    assert len(merged["extensions"]["KHR_materials_variants"]["variants"]) == 4
    assert merged["extensionsUsed"] == sorted(RICH["extensionsUsed"])
    assert merged["extensionsRequired"] == ["EXT_texture_webp"]
    # Only the default scenes of the two files.
    assert (merged["scene"], merged["scenes"]) == (0, [{"nodes": [0, 2]}])


def test_a_merged_file_can_be_read_and_merged_again() -> None:
    once = merge([read_glb(rich()), read_glb(model("one"))])
    again = read_glb(pack_glb(once))
    assert (again.tree, again.binary[: len(once.binary)]) == (once.tree, once.binary)
    assert len(merge([again, again]).tree["nodes"]) == 6


def test_merging_does_not_change_its_arguments() -> None:
    file = read_glb(rich())
    before = json.dumps(file.tree)
    merge([file, file])
    repaint(file, "coat", (1.0, 0.0, 0.0))
    assert json.dumps(file.tree) == before


def test_without_a_scene_all_nodes_that_are_no_children_are_shown() -> None:
    def drop(tree: dict[str, Any]) -> None:
        del tree["scene"], tree["scenes"]

    assert merge([read_glb(rich(drop))]).tree["scenes"] == [{"nodes": [0]}]


def test_a_file_without_anything_merges_to_nothing() -> None:
    empty = pack_glb(Glb({"asset": {"version": "2.0"}}, b""))
    merged = merge([read_glb(empty), read_glb(empty)])
    assert (set(merged.tree), merged.binary) == ({"asset"}, b"")
    assert read_glb(pack_glb(merged)).tree == merged.tree


@pytest.mark.parametrize(("name", "is_painted"), [("Skin", True), ("arm_SKIN.001", True), ("hair", False)])
def test_materials_with_the_word_get_the_colour_and_keep_their_alpha(name: str, is_painted: bool) -> None:  # noqa: FBT001 - a table
    tree = {
        "materials": [
            {"name": name, "pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 0.5], "roughnessFactor": 1}}
        ]
    }
    (material,) = repaint(Glb(tree, b""), "skin", (0.1, 0.2, 0.3)).tree["materials"]
    expected = [0.1, 0.2, 0.3, 0.5] if is_painted else [1, 1, 1, 0.5]
    assert material["pbrMetallicRoughness"] == {"baseColorFactor": expected, "roughnessFactor": 1}


def test_a_material_without_a_colour_gets_one() -> None:
    tree = {"materials": [{"name": "skin"}, {}]}
    painted = repaint(Glb(tree, b""), "skin", (0.1, 0.2, 0.3)).tree["materials"]
    assert painted == [
        {"name": "skin", "pbrMetallicRoughness": {"baseColorFactor": [0.1, 0.2, 0.3, 1.0]}},
        {},
    ]


@pytest.mark.parametrize("data", [b"", b"glT", b"PK\3\4", b"solid ascii"])
def test_other_files_are_refused_as_no_glb(data: bytes) -> None:
    with pytest.raises(NotGlb):
        read_glb(data)


def changed(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        *holders, last = path.split(".")
        found: Any = tree
        for name in holders:
            found = found[int(name) if isinstance(found, list) else name]
        found[int(last) if isinstance(found, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("asset.version", "1.0"),
        ("nodes.0.children.0", 2),
        ("nodes.0.children.0", -1),
        ("nodes.0.children.0", True),
        ("nodes.1.mesh", "0"),
        ("nodes", {}),
        ("nodes.0", 1),
        ("meshes.0.primitives.0.attributes.POSITION", 9),
        ("meshes.0.primitives.0.attributes", []),
        ("meshes.0.primitives", None),
        ("materials.0.normalTexture.index", 2),
        ("materials.0.pbrMetallicRoughness.baseColorFactor", [1, 1, 1]),
        ("skins.0.joints.1", 7),
        ("animations.0.channels.0.target.node", 4),
        ("accessors.0.count", 3),
        ("accessors.0.count", 1.5),
        ("accessors.0.componentType", 1),
        ("accessors.1.sparse.count", 3),
        ("accessors.1.sparse.values.byteOffset", 8),
        ("bufferViews.0.byteLength", 9),
        ("bufferViews.1.buffer", 2),
        ("bufferViews.1.byteOffset", 6),
        ("buffers.0.byteLength", 12),
        ("buffers.1.uri", "model.bin"),
        ("buffers.1.uri", "data:;base64,!"),
        ("images.1.uri", "skin.png"),
        ("scene", 2),
        ("scenes.1.nodes", {"a": 0}),
        ("extensionsUsed", 5),
        ("extensionsUsed", [[]]),
        ("extensions", []),
        ("materials.0.pbrMetallicRoughness", []),
    ],
)  # fmt: skip
def test_a_file_that_refers_to_something_that_it_does_not_have_is_refused(path: str, value: object) -> None:
    with pytest.raises(GlbUnreadable):
        read_glb(rich(changed(path, value)))


@pytest.mark.parametrize(
    "data",
    [
        b"glTF",
        b"glTF" + bytes(8),
        struct.pack("<4sII", b"glTF", 1, 12),
        struct.pack("<4sII", b"glTF", 2, 12),
        rich()[:-1],
        struct.pack("<4sIIII", b"glTF", 2, 24, 4, 0x4E4F534A) + b"{   ",
        struct.pack("<4sIIII", b"glTF", 2, 24, 4, 0x4E4F534A) + b"[]  ",
        struct.pack("<4sIIII", b"glTF", 2, 24, 5, 0x4E4F534A) + b"{}  ",
        struct.pack("<4sIIII", b"glTF", 2, 32, 12, 0x4E4F534A) + b'{"a":NaN}   ',
        struct.pack("<4sIIII", b"glTF", 2, 32, 12, 0x4E4F534A) + b'{"\\ud800":1}',
    ],
)
def test_a_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(GlbUnreadable):
        read_glb(data)


@given(st.integers(0, len(rich()) - 1), st.integers(0, 255))
def test_a_file_with_a_wrong_byte_is_read_or_refused(position: int, byte: int) -> None:
    data = bytearray(rich())
    data[position] = byte
    try:
        found = read_glb(bytes(data))
    except (NotGlb, GlbUnreadable):
        return
    merge([found, found])
