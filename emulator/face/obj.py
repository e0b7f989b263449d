"""Export of a mesh as Wavefront OBJ and MTL text."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from emulator.face.mesh import Mesh
from emulator.face.types import Points3, check_points


def write_obj(
    mesh: Mesh, normals: Points3, material_library: str = "face.mtl", material: str = "face"
) -> str:
    r"""Return the mesh as OBJ text: ASCII, with ``\n`` line ends and corners as ``v/vt/vn``.

    Numbers are the shortest decimals that round-trip to the same float32. Indices start at 1. Each vertex has
    one normal, so the index ``vn`` is the same as ``v``.

    Parameters
    ----------
    mesh : Mesh
        Its positions are written unchanged, in their own unit.
    normals : (V, 3) float64
        One normal for each vertex.
    material_library, material : str
        The name of the MTL file, which is in the folder of the OBJ file, and the name of the material in
        the MTL file.

    Raises
    ------
    ValueError
        If the normals do not match the vertices, a number is not finite, or a name is not allowed in
        OBJ.
    """
    check_points(mesh.vertices, 3, "vertices")
    check_points(mesh.uv, 2, "uv")
    check_points(normals, 3, "normals")
    if normals.shape != mesh.vertices.shape:
        raise ValueError(f"normals must be {mesh.vertices.shape}, not {normals.shape}")
    lines = [f"mtllib {_name(material_library)}", f"o {_name(material)}"]
    lines += [_numbers("v", mesh.vertices), _places(mesh.uv.tobytes()), _numbers("vn", normals)]
    lines.append(f"usemtl {material}")
    lines.append(_corners(*(t.astype(np.int32).tobytes() for t in (mesh.triangles, mesh.uv_triangles))))
    return "\n".join(lines) + "\n"


def write_mtl(material: str, texture: str) -> str:
    r"""Return MTL text with ``\n`` line ends: one matt material with the texture file ``texture``.

    Raises
    ------
    ValueError
        If a name is not allowed in MTL.
    """
    lines = [
        f"newmtl {_name(material)}",
        "Ka 1 1 1",
        "Kd 1 1 1",
        "Ks 0 0 0",
        "d 1",
        "illum 1",
        f"map_Kd {_name(texture)}",
    ]
    return "\n".join(lines) + "\n"


# These two are cached, because all heads have the same texture coordinates and triangles.
@lru_cache(maxsize=4)
def _places(uv: bytes) -> str:
    """Return the ``vt`` lines of the texture coordinates."""
    return _numbers("vt", np.frombuffer(uv, np.float64).reshape(-1, 2))


@lru_cache(maxsize=4)
def _corners(triangles: bytes, uv_triangles: bytes) -> str:
    """Return the ``f`` lines of the triangles."""
    vertex, uv = (np.frombuffer(data, np.int32).reshape(-1, 3) + 1 for data in (triangles, uv_triangles))
    corners = np.stack([vertex, uv, vertex], axis=2).tolist()
    return "\n".join("f " + " ".join(f"{v}/{vt}/{vn}" for v, vt, vn in triangle) for triangle in corners)


def _numbers(keyword: str, rows: NDArray[np.float64]) -> str:
    """Return a line for each row: the keyword and the numbers.

    pydantic_core writes a list of numbers several times as fast as Python or NumPy write single ones. It uses
    exponents for tiny numbers, which some readers of OBJ do not support.
    """
    shortest = _shortest(rows.astype(np.float32))
    written = to_json(shortest.tolist())[2:-2].decode("ascii")
    lines = f"{keyword} " + written.replace("],[", f"\n{keyword} ").replace(",", " ") + "\n"
    if (shortest == np.rint(shortest)).any():
        lines = lines.replace(".0 ", " ").replace(".0\n", "\n")
    return _without_exponents(lines)[:-1]


def _without_exponents(text: str) -> str:
    # Exponents are rare. A regular expression would try every number.
    end = 0
    parts = []
    while (at := text.find("e", end)) >= 0:
        number = _NUMBER.match(text, max(text.rfind(" ", 0, at), text.rfind("\n", 0, at)) + 1)
        if number is None:
            raise ValueError(f"not a number: {text[at - 20 : at + 20]!r}")
        parts += [
            text[end : number.start()],
            np.format_float_positional(np.float32(number[0]), trim="-"),
        ]
        end = number.end()
    return "".join([*parts, text[end:]])


_NUMBER = re.compile(r"[-+.0-9e]+")


def _shortest(numbers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the numbers with the fewest decimals that round to the same float32."""
    given = numbers.reshape(-1)
    exact = given.astype(np.float64)
    found, left = exact.copy(), np.flatnonzero(np.abs(exact) < _LARGE)
    for power in _POWERS:
        near = np.rint(exact[left] * power) / power
        is_same = near.astype(np.float32) == given[left]
        found[left[is_same]] = near[is_same]
        left = left[~is_same]
    # The few others: NumPy writes single numbers slowly, but with any number of digits.
    others = np.union1d(left, np.flatnonzero(np.abs(exact) >= _LARGE))
    found[others] = given[others].astype("U").astype(np.float64)
    return found.reshape(numbers.shape)


_POWERS, _LARGE = 10.0 ** np.arange(12), 1e6


def _name(name: str) -> str:
    # White space separates the words of an OBJ statement, and there is no quoting.
    if not name or not name.isascii() or not name.isprintable() or " " in name:
        raise ValueError(f"a name in OBJ must be printable ASCII without spaces, not {name!r}")
    return name
