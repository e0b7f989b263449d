"""Reading and merging of GLB files, the binary form of glTF 2.0.

The files stay as they are, except for the indices: nodes, meshes, materials, textures, skins and animations
of all files are in the merged file.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from emulator.face.errors import GlbUnreadable, NotGlb
from emulator.face.glb import GENERATOR

Json = dict[str, Any]

MAGIC: Final = b"glTF"
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942

# Paths to indices in the JSON, with the array that each index refers to. "*" stands for all members or items.
_TEXTURES = ("baseColorTexture", "metallicRoughnessTexture")
_REFERENCES: Final = tuple(
    (tuple(path.split(".")), array)
    for path, array in (
        ("scene", "scenes"),
        ("scenes.*.nodes.*", "nodes"),
        ("nodes.*.children.*", "nodes"),
        ("nodes.*.mesh", "meshes"),
        ("nodes.*.skin", "skins"),
        ("nodes.*.camera", "cameras"),
        ("nodes.*.extensions.EXT_mesh_gpu_instancing.attributes.*", "accessors"),
        ("nodes.*.extensions.KHR_lights_punctual.light", "lights"),
        ("meshes.*.primitives.*.attributes.*", "accessors"),
        ("meshes.*.primitives.*.indices", "accessors"),
        ("meshes.*.primitives.*.material", "materials"),
        ("meshes.*.primitives.*.targets.*.*", "accessors"),
        ("meshes.*.primitives.*.extensions.KHR_draco_mesh_compression.bufferView", "bufferViews"),
        ("meshes.*.primitives.*.extensions.KHR_materials_variants.mappings.*.material", "materials"),
        ("meshes.*.primitives.*.extensions.KHR_materials_variants.mappings.*.variants.*", "variants"),
        ("skins.*.inverseBindMatrices", "accessors"),
        ("skins.*.skeleton", "nodes"),
        ("skins.*.joints.*", "nodes"),
        ("animations.*.samplers.*.input", "accessors"),
        ("animations.*.samplers.*.output", "accessors"),
        ("animations.*.channels.*.target.node", "nodes"),
        ("accessors.*.bufferView", "bufferViews"),
        ("accessors.*.sparse.indices.bufferView", "bufferViews"),
        ("accessors.*.sparse.values.bufferView", "bufferViews"),
        ("bufferViews.*.buffer", "buffers"),
        ("bufferViews.*.extensions.EXT_meshopt_compression.buffer", "buffers"),
        ("images.*.bufferView", "bufferViews"),
        ("textures.*.source", "images"),
        ("textures.*.sampler", "samplers"),
        ("textures.*.extensions.*.source", "images"),
        *((f"materials.*.pbrMetallicRoughness.{name}.index", "textures") for name in _TEXTURES),
        *((f"materials.*.{name}.index", "textures") for name in ("normalTexture", "occlusionTexture")),
        ("materials.*.emissiveTexture.index", "textures"),
        # In glTF, only references to textures have a member ``index``.
        ("materials.*.extensions.*.*.index", "textures"),
    )
)

# The arrays of a file. Those of extensions are elsewhere in the JSON.
_ARRAYS: Final[Mapping[str, tuple[str, ...]]] = {
    **{
        name: (name,)
        for name in (
            *(
                "accessors",
                "animations",
                "bufferViews",
                "buffers",
                "cameras",
                "images",
                "materials",
                "meshes",
            ),
            *("nodes", "samplers", "scenes", "skins", "textures"),
        )
    },
    "lights": ("extensions", "KHR_lights_punctual", "lights"),
    "variants": ("extensions", "KHR_materials_variants", "variants"),
}

_COMPONENT_BYTES: Final = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_COMPONENTS: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}

_DATA_URI = "data:"


@dataclass(frozen=True, eq=False)
class Glb:
    """A GLB file: its JSON, with one buffer at most, and the bytes of this buffer."""

    tree: Json
    binary: bytes


def read_glb(data: bytes) -> Glb:
    """Return the content of a GLB file, after checking that the file contains everything that it refers to.

    Buffers in data URIs become part of the binary buffer.

    Raises
    ------
    NotGlb
        If the bytes do not begin like a GLB.
    GlbUnreadable
        If the file is damaged, is not glTF 2, or refers to something that it does not contain.
    """
    if not data.startswith(MAGIC):
        raise NotGlb
    tree, binary = _chunks(data)
    try:
        _check_version(tree)
        tree, binary = _with_one_buffer(tree, binary)
        _check(tree, len(binary))
        glb = Glb(tree, binary)
        # Members that `_check` does not look at can also have a wrong type.
        repaint(merge([glb]), "", (0.0, 0.0, 0.0))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise GlbUnreadable(f"{type(error).__name__}: {error}") from error
    return glb


def pack_glb(glb: Glb) -> bytes:
    """Return a GLB file."""
    content = json.dumps(glb.tree, separators=(",", ":"), ensure_ascii=False).encode()
    content += b" " * (-len(content) % 4)
    chunks = struct.pack("<II", len(content), _JSON_CHUNK) + content
    if glb.binary:
        binary = glb.binary + bytes(-len(glb.binary) % 4)
        chunks += struct.pack("<II", len(binary), _BINARY_CHUNK) + binary
    return struct.pack("<4sII", MAGIC, 2, 12 + len(chunks)) + chunks


def merge(files: Sequence[Glb]) -> Glb:
    """Return one file with the content of all ``files``. Its scene has the default scenes of all of them.

    If a file has no scene, the scene has all of its nodes that have no parent. Other scenes are left out, but
    their nodes are kept.
    """
    merged: Json = {"asset": {"version": "2.0", "generator": GENERATOR}}
    binary = bytearray()
    roots: list[int] = []
    used: dict[str, set[str]] = {"extensionsUsed": set(), "extensionsRequired": set()}
    for file in files:
        tree: Json = json.loads(json.dumps(file.tree))
        roots += [node + len(merged.get("nodes", ())) for node in _roots(tree)]
        for name in ("scene", "scenes"):
            tree.pop(name, None)
        before = {name: len(_array(merged, path)) for name, path in _ARRAYS.items()}
        # All buffer views refer to the one buffer of the merged file.
        before["buffers"] = 0
        for holder, key, array in _references(tree):
            holder[key] += before[array]
        binary += bytes(-len(binary) % 4)
        for holder in _buffer_slices(tree):
            holder["byteOffset"] = holder.get("byteOffset", 0) + len(binary)
        binary += file.binary
        tree.pop("buffers", None)
        for name, values in used.items():
            values.update(tree.pop(name, ()))
        tree.pop("asset", None)
        _append(merged, tree)
    for name, values in used.items():
        if values:
            merged[name] = sorted(values)
    if roots:
        merged["scenes"] = [{"nodes": roots}]
        merged["scene"] = 0
    if binary:
        merged["buffers"] = [{"byteLength": len(binary)}]
    return Glb(merged, bytes(binary))


def repaint(glb: Glb, word: str, color: tuple[float, float, float]) -> Glb:
    """Return a file in which all materials with ``word`` in their names have the base ``color``.

    The comparison ignores case. ``color`` is linear, 0 to 1. The alpha of a material is kept.
    """
    tree: Json = {**glb.tree}
    if "materials" in tree:
        tree["materials"] = [_repainted(material, word, color) for material in tree["materials"]]
    return Glb(tree, glb.binary)


def _repainted(material: Json, word: str, color: tuple[float, float, float]) -> Json:
    if word not in str(material.get("name", "")).lower():
        return material
    surface: Json = material.get("pbrMetallicRoughness", {})
    alpha = surface.get("baseColorFactor", (1.0, 1.0, 1.0, 1.0))[3]
    return {**material, "pbrMetallicRoughness": {**surface, "baseColorFactor": [*color, alpha]}}


def _chunks(data: bytes) -> tuple[Json, bytes]:
    """Return the JSON and the bytes of the binary chunk."""
    try:
        _, version, length = struct.unpack_from("<4sII", data)
        if version != 2:
            raise GlbUnreadable(f"the version is {version}, not 2")
        if length > len(data):
            raise GlbUnreadable("the file is cut off")
        chunks: dict[int, bytes] = {}
        at = 12
        while at < length:
            size, kind = struct.unpack_from("<II", data, at)
            if at + 8 + size > length:
                raise GlbUnreadable("a chunk is cut off")
            chunks.setdefault(kind, data[at + 8 : at + 8 + size])
            at += 8 + size + -size % 4
        if _JSON_CHUNK not in chunks:
            raise GlbUnreadable("there is no JSON chunk")
        tree = json.loads(chunks[_JSON_CHUNK], parse_constant=_refuse_constant)
        if not isinstance(tree, dict):
            raise GlbUnreadable("the JSON is not an object")
        # Lone surrogates cannot be written again.
        json.dumps(tree, ensure_ascii=False).encode()
    except (struct.error, ValueError, RecursionError) as error:
        raise GlbUnreadable(str(error)) from error
    return tree, chunks.get(_BINARY_CHUNK, b"")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"the JSON contains {name}")


def _check_version(tree: Json) -> None:
    if not str(tree["asset"]["version"]).startswith("2."):
        raise ValueError("this is not glTF 2")


def _with_one_buffer(tree: Json, binary: bytes) -> tuple[Json, bytes]:
    """Return the file with all buffers joined to one."""
    buffers = tree.get("buffers", [])
    joined, starts = bytearray(), []
    for number, buffer in enumerate(buffers):
        uri = buffer.get("uri")
        content = binary if uri is None and number == 0 else _from_uri(uri)
        if buffer["byteLength"] > len(content):
            raise ValueError(f"buffer {number} is cut off")
        joined += bytes(-len(joined) % 4)
        starts.append(len(joined))
        joined += content[: buffer["byteLength"]]
    for holder in _buffer_slices(tree):
        number = _index(holder["buffer"], len(starts))
        _check_slice(holder.get("byteOffset", 0), holder["byteLength"], buffers[number]["byteLength"])
        start = starts[number]
        if holder["buffer"]:
            holder["byteOffset"] = holder.get("byteOffset", 0) + start
            holder["buffer"] = 0
    for image in tree.get("images", []):
        if "bufferView" not in image:
            _from_uri(image.get("uri"))
    return tree | ({"buffers": [{"byteLength": len(joined)}]} if buffers else {}), bytes(joined)


def _from_uri(uri: Any) -> bytes:
    """Return the bytes of a data URI."""
    if not isinstance(uri, str) or not uri.startswith(_DATA_URI):
        raise ValueError("a buffer or an image is in another file")
    _, _, content = uri.partition(";base64,")
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise ValueError("a data URI is damaged") from error


def _check(tree: Json, binary_bytes: int) -> None:
    for name, path in _ARRAYS.items():
        if not isinstance(_array(tree, path), list):
            raise TypeError(f"{name} must be a list")
        if not all(isinstance(item, dict) for item in _array(tree, path)):
            raise TypeError(f"{name} must have only objects")
    counts = {name: len(_array(tree, path)) for name, path in _ARRAYS.items()}
    for holder, key, array in _references(tree):
        _index(holder[key], counts[array])
    for view in tree.get("bufferViews", []):
        _check_slice(view.get("byteOffset", 0), view["byteLength"], binary_bytes)
    for accessor in tree.get("accessors", []):
        _check_accessor(accessor, tree.get("bufferViews", []))
    for mesh in tree.get("meshes", []):
        if not all(isinstance(primitive["attributes"], dict) for primitive in mesh["primitives"]):
            raise TypeError("attributes must be an object")
    _check_colors(tree)


def _check_colors(tree: Json) -> None:
    for material in tree.get("materials", []):
        color = material.get("pbrMetallicRoughness", {}).get("baseColorFactor", [1.0] * 4)
        if len(color) != 4 or not all(math.isfinite(channel) for channel in color):
            raise ValueError("a colour must have four numbers")


def _check_accessor(accessor: Json, views: Sequence[Json]) -> None:
    size = _COMPONENT_BYTES[accessor["componentType"]]
    # The columns of small matrices begin at multiples of four bytes, and the last one is not padded.
    columns = {"MAT2": 2, "MAT3": 3}.get(accessor["type"], 1)
    column = _COMPONENTS[accessor["type"]] // columns * size
    padding = -column % 4 if columns > 1 else 0
    element = columns * (column + padding)
    count = _index(accessor["count"], 2**32)
    if count and "bufferView" in accessor:
        view = views[accessor["bufferView"]]
        if "EXT_meshopt_compression" in view.get("extensions", {}):
            return
        length = view.get("byteStride", element) * (count - 1) + element - padding
        _check_slice(accessor.get("byteOffset", 0), length, view["byteLength"])
    if "sparse" in accessor:
        sparse = accessor["sparse"]
        few = _index(sparse["count"], count + 1)
        indices, values = sparse["indices"], sparse["values"]
        for part, each in ((indices, _COMPONENT_BYTES[indices["componentType"]]), (values, element)):
            _check_slice(part.get("byteOffset", 0), few * each, views[part["bufferView"]]["byteLength"])


def _check_slice(offset: Any, length: Any, available: int) -> None:
    if _index(offset, available + 1) + _index(length, available + 1) > available:
        raise ValueError("a buffer view or an accessor is longer than its buffer")


def _index(value: Any, count: int) -> int:
    if type(value) is not int or not 0 <= value < count:
        raise ValueError(f"{value!r} is not a whole number below {count}")
    return value


def _roots(tree: Json) -> list[int]:
    """Return the nodes of the default scene."""
    scenes = tree.get("scenes", [])
    if scenes:
        return list(scenes[tree.get("scene", 0)].get("nodes", []))
    children = {child for node in tree.get("nodes", []) for child in node.get("children", [])}
    return [node for node in range(len(tree.get("nodes", []))) if node not in children]


def _array(tree: Json, path: tuple[str, ...]) -> list[Any]:
    found: Any = tree
    for name in path:
        found = found.get(name, [] if name == path[-1] else {})
    array: list[Any] = found
    return array


def _buffer_slices(tree: Json) -> Iterator[Json]:
    """Yield the objects that have a part of a buffer."""
    for view in tree.get("bufferViews", []):
        yield view
        compressed = view.get("extensions", {}).get("EXT_meshopt_compression")
        if compressed is not None:
            yield compressed


def _references(tree: Json) -> Iterator[tuple[Any, Any, str]]:
    """Yield each reference: the object or list that holds it, its key, and the name of the array."""
    for path, array in _REFERENCES:
        for holder, key in _at(tree, path):
            yield holder, key, array


def _at(value: Any, path: tuple[str, ...]) -> Iterator[tuple[Any, Any]]:
    first, rest = path[0], path[1:]
    keys: Any = ()
    if isinstance(value, dict):
        keys = list(value) if first == "*" else [first] if first in value else []
    elif isinstance(value, list) and first == "*":
        keys = range(len(value))
    for key in keys:
        if not rest:
            yield value, key
        else:
            yield from _at(value[key], rest)


def _append(merged: Json, tree: Json) -> None:
    """Append the arrays of ``tree``. For any other member, the value of the first file is kept."""
    for name, value in tree.items():
        if isinstance(value, list):
            merged[name] = [*merged.get(name, []), *value]
        elif isinstance(value, dict) and name == "extensions":
            extensions = merged.setdefault("extensions", {})
            for extension, content in value.items():
                if isinstance(content, dict):
                    _append(extensions.setdefault(extension, {}), content)
        else:
            merged.setdefault(name, value)
