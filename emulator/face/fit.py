"""From landmarks to a head: who it is, how it is turned, and where the camera has it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_data, canonical_mesh
from emulator.face.identity import identity_modes, mesh
from emulator.face.landmarks import (
    CHIN,
    LANDMARK_COUNT,
    LEFT_EYE,
    LEFT_EYEBROW,
    LEFT_JAW,
    LIPS_INNER,
    LIPS_OUTER,
    RIGHT_EYE,
    RIGHT_EYEBROW,
    RIGHT_JAW,
    RIGID,
    SURFACE_COUNT,
)
from emulator.face.mesh import Mesh
from emulator.face.pose import Pose, WeakPerspective, pose_from_rotation, similarity_transform
from emulator.face.types import Matrix, Points3, check_points

_ALTERNATIONS = 4

# How far landmarks lie off the identity's head for other reasons: expression and the detector's
# error. Chosen such that the coefficients of photographed faces come out with a spread near 1.
_NOISE_CM = 0.1


@dataclass(frozen=True, eq=False)
class HeadFit:
    """A head fitted to a face's landmarks.

    Attributes
    ----------
    identity_coefficients : (80,) float64
        In standard deviations; within about -4 to 4 for faces.
    camera : WeakPerspective
        Model space to the picture.
    pose : Pose
        The camera's rotation, as angles.
    mesh : Mesh
        The head with these coefficients, without expression, in model space.
    landmarks_cm : (468, 3) float64
        The landmarks carried back into model space: what expression and detail are left on.
    """

    identity_coefficients: NDArray[np.float64]
    camera: WeakPerspective
    pose: Pose
    mesh: Mesh
    landmarks_cm: Points3


def fit_head(landmarks: Points3) -> HeadFit:
    """Return the head, and the camera that sees it, that explain ``landmarks`` best.

    Alternates between the camera (the weighted similarity of Umeyama 1991, landmarks that stick
    out counting less, after P. J. Huber 1964, doi:10.1214/aoms/1177703732) and the identity
    (ridge regression, in closed form). What expressions move weighs little in both, and a smile
    is told apart from the identity: how far the mouth is open is fitted along with it.

    Parameters
    ----------
    landmarks : (478, 3) float64
        As ``Face`` has them: pixels, x right, y down, z away from the camera.

    Raises
    ------
    ValueError
        If the shape is another one, or a coordinate is not finite.
    """
    check_points(landmarks, 3, "landmarks")
    if len(landmarks) != LANDMARK_COUNT:
        raise ValueError(f"landmarks must be ({LANDMARK_COUNT}, 3), not {landmarks.shape}")
    # Right-handed, as model space is: y up and z towards the camera.
    observed = landmarks[:SURFACE_COUNT] * (1.0, -1.0, -1.0)
    weights, solver = landmark_weights(), _ridge_solver()
    canonical = canonical_mesh().vertices
    opening = canonical_data().mouth_opening
    expected = canonical
    trust = np.ones(SURFACE_COUNT)
    for _ in range(_ALTERNATIONS):
        scale, rotation, translation = similarity_transform(expected, observed, weights * trust)
        landmarks_cm = (observed - translation) @ rotation / scale
        *coefficients, gap_cm = solver @ (landmarks_cm - canonical).reshape(-1)
        head = mesh(np.array(coefficients))
        expected = head.vertices + gap_cm * opening
        trust = _trust(np.linalg.norm(landmarks_cm - expected, axis=1))
    scale, rotation, translation = similarity_transform(expected, observed, weights * trust)
    landmarks_cm = (observed - translation) @ rotation / scale
    camera = WeakPerspective(scale, rotation, translation[:2] * (1.0, -1.0))
    return HeadFit(np.array(coefficients), camera, pose_from_rotation(rotation), head, landmarks_cm)


@cache
def landmark_weights() -> NDArray[np.float64]:
    """Return (468,), read-only: how much each landmark says about pose and identity, 0 to 1."""
    weights = np.full(SURFACE_COUNT, 0.5)
    # The jaw goes down with the mouth, and brows go up.
    weights[[*CHIN, *RIGHT_JAW[2:], *LEFT_JAW[2:]]] = 0.3
    weights[[*RIGHT_EYEBROW, *LEFT_EYEBROW]] = 0.2
    vertices = canonical_mesh().vertices
    for group, reach_cm, weight in (
        (LIPS_OUTER + LIPS_INNER, 0.8, 0.05),
        (RIGHT_EYE + LEFT_EYE, 0.3, 0.1),
    ):
        distance = np.linalg.norm(vertices[:, None] - vertices[None, list(group)], axis=2).min(axis=1)
        weights[distance <= reach_cm] = weight
    weights[list(RIGID)] = 1.0
    weights.flags.writeable = False
    return weights


@cache
def _ridge_solver() -> Matrix:
    """Return the matrix (81, 1404) from deviations to coefficients and the mouth's opening in cm.

    The maximum a posteriori: coefficients and opening N(0, 1), deviations normal with ``_NOISE_CM``.
    """
    basis = identity_modes()
    fields = np.concatenate(
        [basis.modes * basis.deviations_cm[:, None, None], canonical_data().mouth_opening[None]]
    )
    design = fields.reshape(len(fields), -1)
    weighted = design * np.repeat(landmark_weights(), 3) / _NOISE_CM**2
    return np.asarray(np.linalg.solve(weighted @ design.T + np.eye(len(design)), weighted))


def _trust(residual_cm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Huber's weights: 1 up to twice the median residual, falling beyond."""
    limit = 2.0 * np.median(residual_cm)
    return np.asarray(np.minimum(1.0, limit / np.maximum(residual_cm, max(limit, np.finfo(float).tiny))))
