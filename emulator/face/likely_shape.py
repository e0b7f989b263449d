"""The likely shape of a head with given landmarks, and the shape that is delivered as OBJ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_mesh
from emulator.face.detector_error import detector_error, pose_terms
from emulator.face.fit import HeadFit, landmark_weights
from emulator.face.mesh import vertex_normals
from emulator.face.pose import similarity_transform
from emulator.face.stored import stored_arrays
from emulator.face.types import Matrix, Points3

# Share of the detail that is added to the likely shape. Most of the detail is the detector's error. With a
# larger share, the head would be nearer to the detected landmarks, but farther from the person.
_DETAIL = 0.1


@dataclass(frozen=True, eq=False)
class LikelyShape:
    """A regression from landmarks to the shape of a head, measured by ``laboratory.people``.

    A new measurement gives the same mean. Its slopes and fields differ slightly from the stored ones, which
    come from an earlier run, with other seeds, and with other points of MakeHuman's mesh for some of the
    landmarks. The arrays are read-only.

    Attributes
    ----------
    mean : (468, 3) float64
        The mean of people, in centimetres in model space. The canonical mesh is the mean of landmarks that
        are detected in photographs. The mean of people is less affected by the detector's errors in depth.
    slopes : (R, L) float64
        Amount of each field for each component of ``evidence``.
    fields : (R, 468, 3) float64
        Orthonormal displacement fields.
    """

    mean: Points3
    slopes: Matrix
    fields: NDArray[np.float64]


@cache
def likely_shape() -> LikelyShape:
    """Return the measured regression. The first call reads the file."""
    return LikelyShape(**stored_arrays("likely_shape"))


def evidence(fits: Sequence[HeadFit]) -> NDArray[np.float64]:
    """Return the deviation (L,) of a person's landmarks from the canonical mesh, averaged over the views.

    The deviation is measured in the L directions of ``DetectorError``, without the bias that changes with the
    pose. A view with a high misfit counts less.
    """
    measured = detector_error()
    canonical = canonical_mesh().vertices
    deviations = []
    for fit in fits:
        powers = pose_terms(np.array(fit.pose.yaw), np.array(fit.pose.pitch))
        deviation = np.tensordot(measured.directions, fit.landmarks_cm - canonical, axes=2)
        deviations.append(deviation - powers[1:] @ measured.bias[1:])
    mean: NDArray[np.float64] = np.average(deviations, axis=0, weights=_trust(fits))
    return mean


def observed_shape(fits: Sequence[HeadFit]) -> Points3:
    """Return the vertices (468, 3), in cm, of the head as the views show it, with expression and detail.

    The result is the likely shape plus a share of the detail. The detail is the difference between the
    landmarks and the likely shape, measured perpendicular to the line of sight. The shape includes the
    expression, because ``laboratory.people`` measures faces with and without expressions. Closed lips can
    cross; see `emulator.face.unfolding.unfolded`.
    """
    model = likely_shape()
    likely = model.mean + np.tensordot(model.slopes @ evidence(fits), model.fields, axes=1)
    details = np.array([_detail(fit, likely) for fit in fits])
    shape: Points3 = likely + _DETAIL * np.average(details, axis=0, weights=_trust(fits))
    return shape


def _detail(fit: HeadFit, likely: Points3) -> Points3:
    """Return the detail (468, 3) in a view, reduced where the surface does not face the camera directly."""
    scale, rotation, translation = similarity_transform(fit.landmarks_cm, likely, landmark_weights())
    landmarks = scale * fit.landmarks_cm @ rotation.T + translation
    sight = rotation @ fit.camera.rotation[2]
    across = np.eye(3) - np.outer(sight, sight)
    facing = np.clip(vertex_normals(likely, canonical_mesh().triangles) @ sight, 0.0, 1.0)
    detail: Points3 = facing[:, None] * ((landmarks - likely) @ across)
    return detail


def _trust(fits: Sequence[HeadFit]) -> NDArray[np.float64]:
    return 1.0 / np.array([fit.misfit for fit in fits])
