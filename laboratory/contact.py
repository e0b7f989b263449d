"""Removes self-intersections of the face units: ``python -m laboratory.contact``.

Changes ``emulator/face/data/complete_head.npz``. Lips and lids that touch can pass through each other when a
face unit moves them. Here, the vertices of triangles that intersect get a smoother motion: the mean motion of
the vertices within a few millimetres, also across the gap of the mouth. So both lips move alike where they
touch. Lids and their lining move less instead, because they do not touch at rest.

The intersections are searched for on the average head of face reconstruction. Other heads can still have
some. Run the program once, after ``laboratory.complete_head``. It takes 20 seconds.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from emulator.face.avatar import face_of
from emulator.face.complete_head import UNIT_STEP_CM, CompleteHead, complete_head, complete_head_data
from emulator.face.identity import IDENTITY_COUNT
from emulator.face.types import Points3, Triangles
from laboratory import DATA
from laboratory.crossings import crossing_triangles

UNCHANGED = ("mouthClose", "mouthRollLower", "mouthRollUpper", "mouthShrugLower")
"""Face units that cannot be repaired: `mouthClose` belongs to an open jaw, and the others roll one lip over
the other one. A repair would change their motion too much."""

_ROUNDS = 60

# Vertices within this distance are averaged, with weights that fall to 1 / e at the second distance.
_REACH_CM, _WIDTH_CM = 0.3, 0.21
# From this round on, vertices near to intersecting triangles are smoothed too.
_WIDER_ROUND = 15
_SMOOTHING = 0.7
# In the first rounds, only the lining of the lids moves less, because it is hidden. The z of its normals is
# smaller than the first number.
_LINING, _LINING_ROUNDS, _LESS = 0.2, 40, 0.985


class Skin:
    """The skin of a head, and the fields of displacements on it.

    Attributes
    ----------
    head : CompleteHead
    rest : (V, 3) float64
        The vertices of the skin.
    triangles : (T, 3) int32
    mirror : (V,) int32
    near : list of list of int
        The vertices within ``_REACH_CM`` of each vertex.
    is_lining : (V,) bool
        The vertices that can be inside an eye socket, by their normals.
    """

    def __init__(self, head: CompleteHead) -> None:
        data = complete_head_data()
        part = data.part_vertices["skin"]
        self.head = head
        self.rest = head.mesh.vertices[part]
        self.triangles: Triangles = data.mesh.triangles[data.part_triangles["skin"]]
        self.mirror = data.mirror[part]
        self.near = cKDTree(self.rest).query_ball_point(self.rest, _REACH_CM)
        self.is_lining = head.normals()[part, 2] < _LINING

    def crossed(self, name: str, field: Points3) -> NDArray[np.int64]:
        """Return the vertices of triangles that intersect."""
        moving = field.any(axis=1)
        size = self.head.scale * self.head.blinks.get(name, 1.0)
        vertices = self.rest + size * field @ self.head.rotation.T
        low, high = vertices[moving].min(axis=0) - 0.1, vertices[moving].max(axis=0) + 0.1
        corners = vertices[self.triangles]
        region = self.triangles[((corners.max(axis=1) > low) & (corners.min(axis=1) < high)).all(axis=1)]
        found: NDArray[np.int64] = np.unique(region[crossing_triangles(vertices, region)]).astype(np.int64)
        return found

    def smoothed(self, field: Points3, vertices: NDArray[np.int64]) -> Points3:
        """Return the field with a smoother motion of some vertices."""
        smooth = field.copy()
        for vertex in vertices:
            near = self.near[vertex]
            weights = np.exp(-((self.rest[near] - self.rest[vertex]) ** 2).sum(axis=1) / _WIDTH_CM**2)
            smooth[vertex] = weights @ field[near] / weights.sum()
        return field + _SMOOTHING * (smooth - field)

    def mirrored(self, field: Points3) -> Points3:
        """Return the mirror image of a field."""
        image: Points3 = field[self.mirror] * (-1.0, 1.0, 1.0)
        return image


def repaired(skin: Skin, name: str, field: Points3) -> Points3:
    """Return the field (V, 3) of a face unit with fewer or no intersections. ``name`` has no `Right`."""
    is_middle = not name.endswith("Left")
    for number in range(_ROUNDS):
        crossed = skin.crossed(name, field)
        if not len(crossed):
            break
        if is_middle:
            crossed = np.union1d(crossed, skin.mirror[crossed])
        if name.startswith("eye"):
            # If the edges of the lids moved less, a blink would not close the eye.
            if name.startswith("eyeBlink") or number < _LINING_ROUNDS:
                crossed = crossed[skin.is_lining[crossed]]
            field = field.copy()
            field[crossed] *= _LESS
        else:
            if number >= _WIDER_ROUND:
                crossed = np.unique(np.concatenate([skin.near[vertex] for vertex in crossed]))
            field = skin.smoothed(field, crossed)
        if is_middle:
            field = (field + skin.mirrored(field)) / 2
    return field


def main() -> None:
    """Repair the face units, and write the data file."""
    skin = Skin(complete_head(face_of(np.zeros(IDENTITY_COUNT))))
    stored = dict(np.load(DATA / "complete_head.npz", allow_pickle=False))
    fields: dict[str, Points3] = {}
    count = len(stored["vertices"])
    for name, unit in complete_head_data().units.items():
        whole = np.zeros((count, 3))
        whole[unit.vertices] = unit.displacements
        fields[name] = whole
    for name in [name for name in fields if not name.endswith("Right") and name not in UNCHANGED]:
        before = fields[name][: len(skin.rest)]
        if not before.any():
            continue
        after = repaired(skin, name, before)
        change = np.linalg.norm(after - before, axis=1).max()
        left = len(skin.crossed(name, after))
        sys.stdout.write(f"{name}: changed by up to {change:.2f} cm, {left} vertices still intersect\n")
        sys.stdout.flush()
        if change == 0.0:
            continue
        fields[name][: len(skin.rest)] = after
        if name.endswith("Left"):
            fields[name.replace("Left", "Right")][: len(skin.rest)] = skin.mirrored(after)
    names = [str(name) for name in stored["unit_names"]]
    steps = [np.rint(fields[name] / UNIT_STEP_CM).astype(np.int16) for name in names]
    moving = [np.flatnonzero(each.any(axis=1)) for each in steps]
    stored["unit_counts"] = np.array([len(each) for each in moving], np.int16)
    stored["unit_vertices"] = np.concatenate(moving).astype(np.int16)
    stored["unit_offsets"] = np.concatenate([each[rows] for each, rows in zip(steps, moving, strict=True)])
    np.savez_compressed(DATA / "complete_head.npz", **stored)


if __name__ == "__main__":
    main()
