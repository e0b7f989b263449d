"""A complete head for a reconstructed face: skull, ears, neck, eyeballs, teeth and tongue, and face units.

The head is MakeHuman's (CC0). ``laboratory.complete_head`` derives the data, and
``emulator/face/data/README.md`` describes it. The skull, the ears and the parts inside are a guess: a photo
of a face says little about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from emulator.face.expression import JAW_JOINT_CM
from emulator.face.fit import landmark_weights
from emulator.face.landmarks import (
    CHIN,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LOWER_LIP_INNER,
    NOSE_BASE,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    SURFACE_COUNT,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)
from emulator.face.laplacian import cotangent_weights
from emulator.face.mesh import Mesh, vertex_normals
from emulator.face.pose import similarity_transform
from emulator.face.stored import stored_arrays
from emulator.face.types import Matrix, Points3, Triangles, check_points

PARTS: Final = ("skin", "right_eye", "left_eye", "upper_teeth", "lower_teeth", "tongue")
"""The parts, in the order of their vertices and triangles. Left and right are the person's own."""

# Weights of the distance between a landmark and its place, and of the stretching of the skin, relative to the
# weight of its bending. Without stretching, the inside of an open mouth would move too far, and the nostrils
# would fold.
_NEARNESS, _STRETCHING = 1000.0, 20.0

# Smallest vertical distance of the inner lips. MakeHuman's lips are thick behind the line where they touch.
# So they need more space than those of the canonical mesh.
_LIPS_APART_CM = 0.06

# Lids are the skin within this distance of the front of an eyeball. The front is the part that is farther
# from the centre along z than this fraction of the radius.
_LIDS_CM, _FRONT = 0.25, 0.3

# Smallest distance along z between an eyeball and the lids.
_BEFORE_EYE_CM = 0.02

# If the factor of a blink is above this, the landmarks are wrong.
_LARGEST_BLINK = 1.5

_LEAST_AREA_CM2 = 1e-4

# Smallest size of a face, as a fraction of MakeHuman's average. Below it, only rounding errors are left.
_LEAST_SCALE = 1e-6

UNIT_STEP_CM: Final = 0.001
"""The stored displacements of face units are multiples of this."""


@dataclass(frozen=True, eq=False)
class FaceUnit:
    """A sparse displacement field.

    Attributes
    ----------
    vertices : (N,) int32
        The vertices that move, in ascending order.
    displacements : (N, 3) float64
        In centimetres, for the weight 1.
    """

    vertices: NDArray[np.int32]
    displacements: Points3


@dataclass(frozen=True, eq=False)
class CompleteHeadData:
    """MakeHuman's average head, aligned to the canonical mesh. Read-only arrays.

    Attributes
    ----------
    mesh : Mesh
        4749 vertices, 9402 triangles. The surface of each part is closed, except for the teeth. The texture
        has seams.
    mirror : (4749,) int32
        The vertex that is the mirror image of each vertex.
    part_vertices, part_triangles : dict of str to slice
        The vertices and the triangles of each of the ``PARTS``.
    corners, weights : (468, 3) int32 and float64
        The place of each landmark on the skin: vertices, and their barycentric weights.
    offsets : (468, 3) float64
        What is added to a landmark to get the position of its place, in centimetres. It is 0 except for the
        inner lips: these touch behind the line that a camera sees.
    units : dict of str to FaceUnit
        The displacements of the 52 face units.
    """

    mesh: Mesh
    mirror: NDArray[np.int32]
    part_vertices: Mapping[str, slice]
    part_triangles: Mapping[str, slice]
    corners: NDArray[np.int32]
    weights: NDArray[np.float64]
    offsets: Points3
    units: Mapping[str, FaceUnit]

    def places(self, vertices: Points3) -> Points3:
        """Return the positions (468, 3) of the landmarks on a head with ``vertices`` (4749, 3)."""
        places: Points3 = (vertices[self.corners] * self.weights[:, :, None]).sum(axis=1) - self.offsets
        return places


@dataclass(frozen=True, eq=False)
class CompleteHead:
    """A complete head in model space, in centimetres.

    Attributes
    ----------
    mesh : Mesh
        4749 vertices, 9402 triangles. Vertices, triangles and texture coordinates are ordered by ``PARTS``.
    scale : float
        The size of the head, relative to ``CompleteHeadData.mesh``.
    rotation : (3, 3) float64
        The rotation of the head, relative to ``CompleteHeadData.mesh``.
    blinks : dict of str to float
        Factors of the face units eyeBlinkLeft and eyeBlinkRight. With them, the lids of this head just meet.
    """

    mesh: Mesh
    scale: float
    rotation: Matrix
    blinks: Mapping[str, float]

    def landmarks(self) -> Points3:
        """Return the positions (468, 3) of the landmarks on this head."""
        data = complete_head_data()
        places = (self.mesh.vertices[data.corners] * data.weights[:, :, None]).sum(axis=1)
        landmarks: Points3 = places - self.scale * data.offsets @ self.rotation.T
        return landmarks

    def normals(self) -> Points3:
        """Return the unit normals (4749, 3) of the vertices."""
        return vertex_normals(self.mesh.vertices, self.mesh.triangles)

    def part(self, name: str) -> Mesh:
        """Return one of the ``PARTS``, with its own vertices and triangles.

        The texture coordinates are those of the whole head.
        """
        data = complete_head_data()
        vertices, triangles = data.part_vertices[name], data.part_triangles[name]
        return Mesh(
            self.mesh.vertices[vertices],
            self.mesh.triangles[triangles] - vertices.start,
            self.mesh.uv,
            self.mesh.uv_triangles[triangles],
        )

    def face_units(self) -> Mapping[str, FaceUnit]:
        """Return the 52 face units by their ARKit names, scaled and turned to this head."""
        return {name: self._unit(name) for name in complete_head_data().units}

    def posed(self, weights: Mapping[str, float]) -> Points3:
        """Return the vertices (4749, 3) with face units added, for weights between 0 and 1.

        Raises
        ------
        KeyError
            If a name is not the name of a face unit.
        """
        vertices = self.mesh.vertices.copy()
        for name, weight in weights.items():
            unit = self._unit(name)
            vertices[unit.vertices] += weight * unit.displacements
        return vertices

    def _unit(self, name: str) -> FaceUnit:
        unit = complete_head_data().units[name]
        size = self.scale * self.blinks.get(name, 1.0)
        return FaceUnit(unit.vertices, size * unit.displacements @ self.rotation.T)


def complete_head(face: Points3) -> CompleteHead:
    """Return the complete head of a face with vertices (468, 3).

    The head is first scaled, turned and moved to the face. Then the skin bends as little as possible to bring
    the places of the landmarks to the vertices of the face. The skull, the ears and the neck follow smoothly.
    Each eyeball is a sphere that follows its lids, and stays behind them. The teeth and the tongue follow the
    jaws.

    Parameters
    ----------
    face : (468, 3) float64
        In model space, in centimetres. Lips and lids must not intersect: see
        `emulator.face.unfolding.unfolded`.

    Raises
    ------
    ValueError
        If the shape is wrong, a coordinate is not finite, or all vertices are in one place.
    """
    check_points(face, 3, "face")
    if len(face) != SURFACE_COUNT:
        raise ValueError(f"face must be ({SURFACE_COUNT}, 3), not {face.shape}")
    data = complete_head_data()
    resting = data.places(data.mesh.vertices)
    scale, rotation, translation = similarity_transform(resting, face, landmark_weights())
    if scale < _LEAST_SCALE:
        raise ValueError("face must not have all vertices in one place")
    vertices: Points3 = scale * data.mesh.vertices @ rotation.T + translation
    residual = _with_lips_apart(face) - (scale * resting @ rotation.T + translation)
    skin = _skin()
    follow = skin.solver.solve(skin.places.T @ (_NEARNESS * residual))
    vertices[data.part_vertices["skin"]] += follow
    for eye in _eyes():
        part = data.part_vertices[eye.part]
        vertices[part] += _eye_shift(eye, vertices, scale, rotation, translation, follow)
    joint = scale * rotation @ np.array(JAW_JOINT_CM) + translation
    _move_teeth(vertices, face, residual, joint)
    head = CompleteHead(data.mesh.with_vertices(vertices), scale, rotation, {})
    return replace(head, blinks=_blinks(head))


@cache
def complete_head_data() -> CompleteHeadData:
    """Return the stored head. The first call reads the file."""
    arrays = stored_arrays("complete_head")
    part_vertices, part_triangles = (
        dict(zip(PARTS, _slices(arrays[f"part_{name}"]), strict=True)) for name in ("vertices", "triangles")
    )
    displacements = arrays["unit_offsets"] * UNIT_STEP_CM
    displacements.flags.writeable = False
    units = {
        str(name): FaceUnit(arrays["unit_vertices"][rows], displacements[rows])
        for name, rows in zip(arrays["unit_names"], _slices(arrays["unit_counts"]), strict=True)
    }
    return CompleteHeadData(
        Mesh(arrays["vertices"], arrays["triangles"], arrays["uv"], arrays["uv_triangles"]),
        arrays["mirror"],
        MappingProxyType(part_vertices),
        MappingProxyType(part_triangles),
        arrays["corners"],
        arrays["weights"],
        arrays["offsets"],
        MappingProxyType(units),
    )


@dataclass(frozen=True, eq=False)
class _Skin:
    """The equations of the skin.

    Attributes
    ----------
    places : (468, V) sparse
        Maps the vertices of the skin to the places of the landmarks.
    solver : SuperLU
        The factors of the matrix (V, V).
    """

    places: sparse.csr_array
    solver: SuperLU


@cache
def _skin() -> _Skin:
    """Return the equations. The first call takes 40 ms, and the factors have 7 MB."""
    data = complete_head_data()
    count = data.part_vertices["skin"].stop
    laplacian, area = _laplacian(data.mesh.vertices[:count], data.mesh.triangles[data.part_triangles["skin"]])
    rows = np.repeat(np.arange(SURFACE_COUNT), 3)
    entries = (data.weights.reshape(-1), (rows, data.corners.reshape(-1)))
    places = sparse.csr_array(sparse.coo_array(entries, shape=(SURFACE_COUNT, count)))
    bending = laplacian @ sparse.diags_array(1.0 / area) @ laplacian
    matrix = bending + _STRETCHING * laplacian + _NEARNESS * (places.T @ places)
    # The matrix is symmetric and positive definite, so no pivots are needed.
    solver = splu(
        sparse.csc_array(matrix),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return _Skin(places, solver)


def _laplacian(vertices: Points3, triangles: Triangles) -> tuple[sparse.csr_array, NDArray[np.float64]]:
    """Return the Laplacian (V, V), and the area (V,) of each vertex in cm2."""
    weights, area = cotangent_weights(vertices, triangles)
    degree: NDArray[np.float64] = np.asarray(weights.sum(axis=1), np.float64).reshape(-1)
    return sparse.csr_array(sparse.diags_array(degree) - weights), np.maximum(area, _LEAST_AREA_CM2)


@dataclass(frozen=True, eq=False)
class _Eye:
    """An eyeball, before it is fitted.

    Attributes
    ----------
    part : str
        One of the ``PARTS``.
    centre : (3,) float64
        In centimetres.
    radius : float
        In centimetres.
    lids : (N,) int64
        The vertices of the skin that are near to the front of the eyeball, without the lining of the socket.
    least : (N,) float64
        How far each of them must be in front of the eyeball, in centimetres: ``_BEFORE_EYE_CM``, or less if
        it is less in MakeHuman's head.
    """

    part: str
    centre: NDArray[np.float64]
    radius: float
    lids: NDArray[np.int64]
    least: NDArray[np.float64]

    def before(self, lids: Points3, centre: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
        """Return how far (N,) the vertices of the lids (N, 3) are in front of a sphere, along z.

        Vertices beside the sphere are far in front.
        """
        away = lids - centre
        inside = radius**2 - (away[:, :2] ** 2).sum(axis=1)
        depth = away[:, 2] - np.sqrt(np.maximum(inside, 0.0))
        return np.where(inside > 0.0, depth, np.inf)


@cache
def _eyes() -> tuple[_Eye, ...]:
    data = complete_head_data()
    skin = data.mesh.vertices[data.part_vertices["skin"]]
    outside = vertex_normals(data.mesh.vertices, data.mesh.triangles)[: len(skin), 2] > 0
    eyes = []
    for part in ("right_eye", "left_eye"):
        ball = data.mesh.vertices[data.part_vertices[part]]
        centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
        radius = float(np.linalg.norm(ball - centre, axis=1).mean())
        distance = np.linalg.norm(skin - centre, axis=1)
        near = outside & (distance < radius + _LIDS_CM) & (skin[:, 2] > centre[2] + _FRONT * radius)
        eye = _Eye(part, centre, radius, np.flatnonzero(near), np.zeros(0))
        least = np.minimum(eye.before(skin[eye.lids], centre, radius), _BEFORE_EYE_CM)
        eyes.append(replace(eye, least=least))
    return tuple(eyes)


def _eye_shift(
    eye: _Eye,
    vertices: Points3,
    scale: float,
    rotation: Matrix,
    translation: NDArray[np.float64],
    follow: Points3,
) -> NDArray[np.float64]:
    """Return the motion (3,) of an eyeball: it follows its lids, and moves back until it is behind them."""
    shift: NDArray[np.float64] = follow[eye.lids].mean(axis=0)
    centre = scale * rotation @ eye.centre + translation + shift
    missing = eye.least - eye.before(vertices[eye.lids], centre, scale * eye.radius)
    shift[2] -= float(missing.max(initial=0.0))
    return shift


def _blinks(head: CompleteHead) -> Mapping[str, float]:
    """Return the factors of the two blinks: for each eye, the median over the pairs of landmarks on its lids.

    Pairs that a blink would not close are left out. If no pair is left, the factor is 1.
    """
    data = complete_head_data()
    places = head.landmarks()
    factors = {}
    for name, upper, lower in (
        ("eyeBlinkLeft", LEFT_UPPER_LID[2:-2], LEFT_LOWER_LID[2:-2]),
        ("eyeBlinkRight", RIGHT_UPPER_LID[2:-2], RIGHT_LOWER_LID[2:-2]),
    ):
        closed = head.posed({name: 1.0})
        closing = ((closed - head.mesh.vertices)[data.corners] * data.weights[:, :, None]).sum(axis=1)
        gap = places[list(upper), 1] - places[list(lower), 1]
        speed = closing[list(lower), 1] - closing[list(upper), 1]
        closes = speed > 0.0
        factor = float(np.median(gap[closes] / speed[closes])) if closes.any() else 1.0
        factors[name] = float(np.clip(factor, 0.0, _LARGEST_BLINK))
    return MappingProxyType(factors)


def _with_lips_apart(face: Points3) -> Points3:
    """Return ``face`` with inner lips that are at least ``_LIPS_APART_CM`` apart."""
    upper, lower = list(UPPER_LIP_INNER[1:-1]), list(LOWER_LIP_INNER[1:-1])
    apart = face.copy()
    missing = np.maximum(_LIPS_APART_CM - (face[upper, 1] - face[lower, 1]), 0.0)
    apart[upper, 1] += missing / 2
    apart[lower, 1] -= missing / 2
    return apart


def _move_teeth(vertices: Points3, face: Points3, residual: Points3, joint: NDArray[np.float64]) -> None:
    """Move the teeth and the tongue with the jaws.

    All of them follow the upper lip sideways and in depth, and the base of the nose in height. The lower
    teeth and the tongue also turn about the joint of the jaw. They move down by as much as the chin,
    but by no more than the opening of the mouth.
    """
    data = complete_head_data()
    shift = residual[list(UPPER_LIP_OUTER)].mean(axis=0)
    shift[1] = residual[list(NOSE_BASE), 1].mean()
    for part in ("upper_teeth", "lower_teeth", "tongue"):
        vertices[data.part_vertices[part]] += shift
    opening = float(face[UPPER_LIP_INNER[5], 1] - face[LOWER_LIP_INNER[5], 1])
    drop = float(np.clip(shift[1] - residual[list(CHIN), 1].mean(), 0.0, max(opening, 0.0)))
    teeth = vertices[data.part_vertices["lower_teeth"]]
    front = teeth[teeth[:, 2].argmax()] - joint
    angle = drop / np.hypot(front[1], front[2])
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    for part in ("lower_teeth", "tongue"):
        moved = data.part_vertices[part]
        vertices[moved] = (vertices[moved] - joint) @ turn.T + joint


def _slices(counts: NDArray[np.int32]) -> list[slice]:
    """Return consecutive slices with the given lengths."""
    ends = np.cumsum(counts, dtype=np.int64).tolist()
    return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
