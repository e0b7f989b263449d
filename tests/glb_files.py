"""Reading of GLB files by the rules of glTF 2.0."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray


def unpacked(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the JSON and the binary chunk of a GLB."""
    magic, version, length, json_length, json_kind = struct.unpack_from("<4sII I4s", data)
    assert (magic, version, length, json_kind) == (b"glTF", 2, len(data), b"JSON")
    tree = json.loads(data[20 : 20 + json_length])
    binary_length, binary_kind = struct.unpack_from("<I4s", data, 20 + json_length)
    assert binary_kind == b"BIN\0"
    assert json_length % 4 == binary_length % 4 == 0
    binary = data[28 + json_length :]
    assert len(binary) == binary_length == tree["buffers"][0]["byteLength"]
    return tree, binary


def view(tree: dict[str, Any], binary: bytes, index: int) -> bytes:
    found = tree["bufferViews"][index]
    assert found["byteOffset"] % 4 == 0
    return binary[found["byteOffset"] :][: found["byteLength"]]


def values(tree: dict[str, Any], binary: bytes, index: int) -> NDArray[Any]:
    """Return the values (N, C) of an accessor, after checking its limits."""
    accessor = tree["accessors"][index]
    kinds = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
    shape = accessor["count"], {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]
    kind = kinds[accessor["componentType"]]
    found = np.zeros(shape, kind)
    if "bufferView" in accessor:
        found = np.frombuffer(view(tree, binary, accessor["bufferView"]), kind).reshape(shape).copy()
    if sparse := accessor.get("sparse"):
        rows = np.frombuffer(
            view(tree, binary, sparse["indices"]["bufferView"]), kinds[sparse["indices"]["componentType"]]
        )
        assert len(rows) == sparse["count"]
        assert (np.diff(rows.astype(int)) > 0).all()
        found[rows] = np.frombuffer(view(tree, binary, sparse["values"]["bufferView"]), kind).reshape(-1, 3)
    if "min" in accessor:
        np.testing.assert_array_equal(found.min(axis=0), np.array(accessor["min"], kind))
        np.testing.assert_array_equal(found.max(axis=0), np.array(accessor["max"], kind))
    return found


def morphed(tree: dict[str, Any], binary: bytes, name: str, weight: float = 1.0) -> list[NDArray[Any]]:
    """Return the positions (V, 3) of each primitive of the first mesh, with a morph target added."""
    mesh = tree["meshes"][0]
    target = mesh["extras"]["targetNames"].index(name)
    return [
        values(tree, binary, primitive["attributes"]["POSITION"])
        + weight * values(tree, binary, primitive["targets"][target]["POSITION"])
        for primitive in mesh["primitives"]
    ]
