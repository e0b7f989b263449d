"""Published proportions of adult faces, and the mean head: a mix of MakeHuman's and the canonical head."""

from __future__ import annotations

import numpy as np

from emulator.face.canonical import canonical_mesh
from emulator.face.pose import similarity_transform
from emulator.face.types import Points3
from laboratory.deviations import Floats, mirror_image
from laboratory.heads import symmetrised, with_lips_touching
from laboratory.makehuman import MakeHuman
from laboratory.registration import SurfacePoints

# Means of men and women, or of the two populations that were measured. Sources:
# - Nose protrusion / nose width: 21.0 / 41.0 mm (300 Egyptian men, doi:10.1007/s00266-018-1197-8), and
#   53.25 % and 54.56 % (399 men and 501 women, Han Chinese, Li et al. 2014, J. Cranio-Maxillofac. Surg.
#   42:153-158).
# - Widths of nose and mouth / distance of the outer eye corners: doi:10.1186/s40902-019-0191-7, table 9.
# - Distance of upper and lower lip in front of the line from subnasale to pogonion: doi:10.1155/2013/806203,
#   table 2 (Turkish adults), divided by the distance of the outer eye corners from table 9 above.
_EYES_MM = (98.2 + 94.4) / 2
PUBLISHED = np.array(
    [
        (21.0 / 41.0 + (0.5325 + 0.5456) / 2) / 2,
        (43.2 / 98.2 + 40.7 / 94.4) / 2,
        (55.9 / 98.2 + 52.0 / 94.4) / 2,
        (3.9 + 2.8) / 2 / _EYES_MM,
        (2.4 + 1.1) / 2 / _EYES_MM,
    ]
)
"""The published proportions, in the order of ``proportions``."""

# How far MakeHuman's head is pulled to the published proportions (1 is all the way), and the share of
# MakeHuman's head in the mean head.
_PULLED, _SHARE = 0.5, 0.6
_STEPS = 6
_RIDGE = 1e-3


def proportions(face: Points3) -> Floats:
    """Return the proportions (5,) of a face (468, 3), in the order of ``PUBLISHED``."""
    eyes, nose, mouth = (_distance(face, *pair) for pair in ((33, 263), (64, 294), (61, 291)))
    base, pogonion = face[2, 1:], face[max((199, 200, 175), key=lambda index: float(face[index, 2])), 1:]
    down = (pogonion - base) / np.linalg.norm(pogonion - base)
    forward = np.array([down[1], -down[0]]) * -np.sign(down[0])
    upper, lower = (float((face[lip, 1:] - base) @ forward) for lip in (0, 17))
    return np.array([_distance(face, 2, 4) / nose, nose / eyes, mouth / eyes, upper / eyes, lower / eyes])


def mean_head(people: MakeHuman, points: SurfacePoints) -> Points3:
    """Return the mean head (468, 3) in model space.

    MakeHuman's average head is pulled half-way to the published proportions, by the smallest displacement
    that its symmetric sliders can make.
    """
    average = people.average()
    sliders = [np.sum([(side.plus - side.minus) / 2 for side in sides], axis=0) for sides in people.sliders]
    fields = np.array([points.on(slider).reshape(-1) for slider in sliders])
    amounts = np.zeros(len(fields))
    face = points.on(average)
    goal = proportions(face) + _PULLED * (PUBLISHED - proportions(face))
    metric = fields @ fields.T
    metric += _RIDGE * np.trace(metric) / len(metric) * np.eye(len(metric))
    for _ in range(_STEPS):
        now = points.on(average) + (amounts @ fields).reshape(face.shape)
        slopes = _slopes(now, fields)
        step = np.linalg.solve(metric, slopes.T)
        amounts += step @ np.linalg.solve(slopes @ step, goal - proportions(now))
    pulled = aligned(points.on(average) + (amounts @ fields).reshape(face.shape))
    canonical = canonical_mesh().vertices
    mean = aligned(_SHARE * (pulled + mirror_image(pulled)) / 2 + (1.0 - _SHARE) * canonical)
    return with_lips_touching(symmetrised(mean))


def aligned(face: Points3) -> Points3:
    """Return ``face`` (468, 3), moved, turned and scaled to the canonical mesh."""
    scale, rotation, translation = similarity_transform(face, canonical_mesh().vertices)
    moved: Points3 = scale * face @ rotation.T + translation
    return moved


def _slopes(face: Points3, fields: Floats, step: float = 0.01) -> Floats:
    before = proportions(face)
    return np.array(
        [(proportions(face + step * field.reshape(face.shape)) - before) / step for field in fields]
    ).T


def _distance(face: Points3, *ends: int) -> float:
    first, second = ends
    return float(np.linalg.norm(face[first] - face[second]))
