"""Export of textured meshes with morph targets as GLB, the binary form of glTF 2.0."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from trimesh import Scene, Trimesh
from trimesh.exchange.gltf import export_glb
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from emulator.face.types import Points2, Points3, Triangles, check_points

GENERATOR: Final = "face-api-emulator"
"""The program that wrote the file, for the member ``asset.generator``."""

METRES_PER_CM: Final = 0.01

PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC: Final = b"\xff\xd8\xff"

# glTF's numbers for types, and for what a buffer view contains.
_FLOAT, _ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 5126, 34962, 34963
_INDEX_TYPES: Final = ((2**8, 5121, np.uint8), (2**16, 5123, np.uint16), (2**32, 5125, np.uint32))
# Linear filters with mipmaps, and no repetition: the opposite edges of a head's texture do not match.
_SAMPLER: Final = {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}

_ALPHA_CUTOFF = 0.5


@dataclass(frozen=True, eq=False)
class Material:
    """The look of a surface that is not metallic.

    Attributes
    ----------
    name : str
    base_color : tuple of 4 float
        Red, green, blue and alpha, 0 to 1, linear. Multiplied by the texture, if there is one.
    texture : bytes or None
        A PNG or a JPEG. It is embedded without a change.
    alpha : {'OPAQUE', 'MASK', 'BLEND'}
        How alpha is used. MASK hides places with an alpha below 0.5.
    double_sided : bool
        Whether the back of the surface is visible.
    roughness : float
        0 to 1.
    """

    name: str
    base_color: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    texture: bytes | None = None
    alpha: Literal["OPAQUE", "MASK", "BLEND"] = "OPAQUE"
    double_sided: bool = False
    roughness: float = 0.8


@dataclass(frozen=True, eq=False)
class Morph:
    """A sparse displacement field.

    Attributes
    ----------
    vertices : (N,) int
        The vertices that move, in ascending order.
    displacements : (N, 3) float64
        In centimetres, for the weight 1.
    """

    vertices: NDArray[np.int32] | NDArray[np.int64]
    displacements: Points3


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh with one material.

    Attributes
    ----------
    name : str
    vertices : (V, 3) float64
        In centimetres: y up, z forward.
    triangles : (T, 3) int32
        Counter-clockwise as seen from outside.
    normals : (V, 3) float64
        Unit normals.
    uv : (V, 2) float64 or None
        0 to 1, with the origin at the bottom left of the texture, as in OBJ.
    material : Material
    morphs : mapping of str to Morph
        The morph targets by their names.
    """

    name: str
    vertices: Points3
    triangles: Triangles
    normals: Points3
    uv: Points2 | None
    material: Material
    morphs: Mapping[str, Morph] = field(default_factory=dict)


def write_glb(parts: Sequence[Part], mesh: str | None = None) -> bytes:
    """Return ``parts`` as a GLB. The same parts give the same bytes.

    Lengths are in metres, as glTF prescribes. Materials that are the same object are written once. The names
    of the morph targets are in ``extras.targetNames`` of each mesh, where three.js and Blender find them.

    Parameters
    ----------
    parts : sequence of Part
    mesh : str, optional
        If given, the parts become the primitives of one mesh with this name. This mesh has the morph targets
        of all parts, in the order in which their names first appear. By default, each part is a mesh.

    Raises
    ------
    ValueError
        If there is no part, arrays do not match, a number is not finite, a texture is neither PNG nor JPEG,
        or two parts have the same name.
    """
    if not parts:
        raise ValueError("parts must not be empty")
    if len({part.name for part in parts}) < len(parts):
        raise ValueError("the names of the parts must differ")
    scene = Scene()
    for part in parts:
        _check(part)
        # trimesh omits texture coordinates without a material. `_Additions` replaces the material.
        visual = TextureVisuals(uv=part.uv, material=PBRMaterial(name=part.material.name))
        body = Trimesh(
            part.vertices * METRES_PER_CM,
            part.triangles,
            vertex_normals=part.normals,
            visual=visual,
            process=False,
        )
        scene.add_geometry(body, node_name=part.name, geom_name=part.name)
    additions = _Additions(parts, mesh)
    written: bytes = export_glb(
        scene,
        include_normals=True,
        buffer_postprocessor=additions.to_buffers,
        tree_postprocessor=additions.to_tree,
    )
    return written


def _check(part: Part) -> None:
    check_points(part.vertices, 3, f"{part.name}: vertices")
    check_points(part.normals, 3, f"{part.name}: normals")
    count = len(part.vertices)
    if len(part.normals) != count:
        raise ValueError(f"{part.name}: normals must be {part.vertices.shape}, not {part.normals.shape}")
    if part.triangles.ndim != 2 or part.triangles.shape[1] != 3 or not len(part.triangles):
        raise ValueError(f"{part.name}: triangles must be (T, 3), not {part.triangles.shape}")
    if part.triangles.min() < 0 or part.triangles.max() >= count:
        raise ValueError(f"{part.name}: triangles must be below {count}")
    if part.uv is not None:
        check_points(part.uv, 2, f"{part.name}: uv")
        if len(part.uv) != count:
            raise ValueError(f"{part.name}: uv must be ({count}, 2), not {part.uv.shape}")
    elif part.material.texture is not None:
        raise ValueError(f"{part.name}: a texture needs uv")
    for name, morph in part.morphs.items():
        check_points(morph.displacements, 3, f"{part.name}: {name}")
        if morph.vertices.shape != morph.displacements.shape[:1]:
            raise ValueError(f"{part.name}: {name} must have one displacement for each vertex")
        moved = morph.vertices
        if len(moved) and (moved[0] < 0 or moved[-1] >= count or (np.diff(moved) <= 0).any()):
            raise ValueError(f"{part.name}: the vertices of {name} must ascend, and be below {count}")


def media_type(texture: bytes) -> str:
    """Return the media type of a PNG or a JPEG.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if texture.startswith(PNG_MAGIC):
        return "image/png"
    if texture.startswith(JPEG_MAGIC):
        return "image/jpeg"
    raise ValueError("a texture must be a PNG or a JPEG")


class _Additions:
    """What trimesh does not write: morph targets, textures as they are, and materials with exact colours.

    trimesh calls ``to_buffers`` when it has appended the meshes, and ``to_tree`` when it has also written the
    buffer views. Its buffers and accessors have keys, but their order decides the indices.
    """

    def __init__(self, parts: Sequence[Part], mesh: str | None) -> None:
        self.parts = parts
        self.mesh = mesh
        # They are without padding, so that a texture stays the same file.
        self.lengths: dict[int, int] = {}

    def to_buffers(self, buffers: MutableMapping[Any, bytes], tree: dict[str, Any]) -> None:
        materials: dict[int, int] = {}
        tree["materials"] = []
        images: dict[bytes, int] = {}
        for part, written in zip(self.parts, tree["meshes"], strict=True):
            primitive = written["primitives"][0]
            if id(part.material) not in materials:
                materials[id(part.material)] = len(tree["materials"])
                tree["materials"].append(self._material(part.material, images, buffers, tree))
            primitive["material"] = materials[id(part.material)]
            names = self._names([part] if self.mesh is None else self.parts)
            if names:
                primitive["targets"] = [
                    {"POSITION": self._target(part, name, buffers, tree)} for name in names
                ]
            written["extras"] = {"targetNames": names} if names else {}
        if images:
            tree["samplers"] = [_SAMPLER]

    def to_tree(self, tree: dict[str, Any]) -> None:
        tree["asset"]["generator"] = GENERATOR
        views = tree["bufferViews"]
        for position, length in self.lengths.items():
            views[position]["byteLength"] = length
        for written in tree["meshes"]:
            primitive = written["primitives"][0]
            views[tree["accessors"][primitive["indices"]]["bufferView"]]["target"] = _ELEMENT_ARRAY_BUFFER
            targets = [target["POSITION"] for target in primitive.get("targets", ())]
            for index in (*primitive["attributes"].values(), *targets):
                if "bufferView" in tree["accessors"][index]:
                    views[tree["accessors"][index]["bufferView"]]["target"] = _ARRAY_BUFFER
        if self.mesh is None:
            nodes = [{"name": part.name, "mesh": index} for index, part in enumerate(self.parts)]
        else:
            primitives = [written["primitives"][0] for written in tree["meshes"]]
            tree["meshes"] = [{**tree["meshes"][0], "name": self.mesh, "primitives": primitives}]
            nodes = [{"name": self.mesh, "mesh": 0}]
        for written in tree["meshes"]:
            if not written["extras"]:
                del written["extras"]
        tree["nodes"] = nodes
        tree["scenes"] = [{"nodes": list(range(len(nodes)))}]

    @staticmethod
    def _names(parts: Sequence[Part]) -> list[str]:
        return list(dict.fromkeys(name for part in parts for name in part.morphs))

    def _material(
        self,
        look: Material,
        images: dict[bytes, int],
        buffers: MutableMapping[Any, bytes],
        tree: dict[str, Any],
    ) -> dict[str, Any]:
        surface: dict[str, Any] = {
            "baseColorFactor": list(look.base_color),
            "metallicFactor": 0.0,
            "roughnessFactor": look.roughness,
        }
        if look.texture is not None:
            if look.texture not in images:
                images[look.texture] = len(tree["images"])
                view = self._append(look.texture, buffers)
                tree["images"].append({"bufferView": view, "mimeType": media_type(look.texture)})
                tree["textures"].append({"source": images[look.texture], "sampler": 0})
            surface["baseColorTexture"] = {"index": images[look.texture]}
        material: dict[str, Any] = {"name": look.name, "pbrMetallicRoughness": surface}
        if look.alpha != "OPAQUE":
            material["alphaMode"] = look.alpha
        if look.alpha == "MASK":
            material["alphaCutoff"] = _ALPHA_CUTOFF
        if look.double_sided:
            material["doubleSided"] = True
        return material

    def _target(
        self, part: Part, name: str, buffers: MutableMapping[Any, bytes], tree: dict[str, Any]
    ) -> int:
        """Append the accessor of a morph target, and return its index."""
        count = len(part.vertices)
        accessor: dict[str, Any] = {"componentType": _FLOAT, "type": "VEC3", "count": count}
        morph = part.morphs.get(name)
        if morph is not None and len(morph.vertices):
            moved = (morph.displacements * METRES_PER_CM).astype("<f4")
            dense = np.zeros((count, 3), "<f4")
            dense[morph.vertices] = moved
            accessor |= {"min": dense.min(axis=0).tolist(), "max": dense.max(axis=0).tolist()}
            code, kind = next((code, kind) for end, code, kind in _INDEX_TYPES if count <= end)
            indices = morph.vertices.astype(np.dtype(kind).newbyteorder("<"))
            if indices.nbytes + moved.nbytes < dense.nbytes:
                accessor["sparse"] = {
                    "count": len(moved),
                    "indices": {
                        "bufferView": self._append(indices.tobytes(), buffers),
                        "componentType": code,
                    },
                    "values": {"bufferView": self._append(moved.tobytes(), buffers)},
                }
            else:
                accessor["bufferView"] = self._append(dense.tobytes(), buffers)
        else:
            # An accessor without data has only zeros.
            accessor |= {"min": [0.0] * 3, "max": [0.0] * 3}
        # trimesh uses whole numbers as keys.
        key = ("target", part.name, name)
        tree["accessors"][key] = accessor
        return len(tree["accessors"]) - 1

    def _append(self, data: bytes, buffers: MutableMapping[Any, bytes]) -> int:
        """Append the bytes of a buffer view, and return its index."""
        position = len(buffers)
        self.lengths[position] = len(data)
        buffers["addition", position] = data + bytes(-len(data) % 4)
        return position
