"""Fit of a head to landmarks: identity coefficients, pose and camera."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from emulator.face.canonical import canonical_mesh
from emulator.face.detector_error import (
    detector_error,
    perspective_fields,
    pose_terms,
    within_person_fields,
)
from emulator.face.expression import expression_fields
from emulator.face.head_frame import check_landmarks
from emulator.face.identity import mesh
from emulator.face.landmarks import (
    CHIN,
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
from emulator.face.types import Matrix, Points3

_ALTERNATIONS = 3

# Landmark noise that no error direction explains, in centimetres.
_NOISE_CM = 0.06

# Photographs have errors that synthetic faces do not have. `_WITHIN_PERSON` is the scale of the
# `within_person_fields`. `_LASTING` is the share of the covariance of these fields that is the same in all
# photographs of a person. `_EXPRESSIONS` is the scale of the expression fields. Experiments on photographs
# and synthetic faces gave these values.
_WITHIN_PERSON = 0.8
_LASTING = 0.5
_EXPRESSIONS = 0.1

# Scale of the last expression field, the smile. It is larger, because smiles in photographs vary more than
# synthetic smiles.
_SMILE = 0.3

# Exponent of the likelihood ratio between a face at rest and one with an expression. It is below 1, because
# the measurements in a view are not independent.
_TEMPER = 0.25

# Over many faces, the recovered coefficients vary less than the true ones, and the coefficients of the finest
# modes hardly vary. So each recovered coefficient is divided by r ** `_WIDENING`, where r is the standard
# deviation of the recovered coefficient divided by the standard deviation of the true one. With an exponent
# of 1, all coefficients would vary like the true ones, but the finest would be only noise. With 0, the finest
# would be almost constant.
_WIDENING = 0.6

# Largest magnitude of a coefficient, in standard deviations. In each mode, one face in 16,000 exceeds this.
_FARTHEST = 4.0

# Limits of `HeadFit.misfit`. A view is weighted by the inverse of its misfit.
_LEAST_MISFIT, _MOST_MISFIT = 0.15, 10.0

# From this misfit on, the landmarks do not belong to an upright face. Photographs have a misfit of up to 1,
# synthetic faces turned by 50 degrees up to 2.9. If the mesh model takes a head that is upside down for an
# upright one, the misfit is 4 to 7 in photographs. The detector recognises most of these heads.
_NO_FACE = 3.0


@dataclass(frozen=True, eq=False)
class HeadFit:
    """A head fitted to a face's landmarks.

    Attributes
    ----------
    identity_coefficients : (80,) float64
        In standard deviations, -4 to 4.
    camera : WeakPerspective
        Projects model space to the picture.
    pose : Pose
        The camera's rotation as angles.
    mesh : Mesh
        The head with these coefficients and without expression, in model space.
    landmarks_cm : (468, 3) float64
        The landmarks in model space. They include the expression, and detail that the coefficients cannot
        express.
    misfit : float
        How far the landmarks are from those of a usual face: about 1 is usual, and more is worse. If there
        are several views, those with a lower misfit have more weight.
    """

    identity_coefficients: NDArray[np.float64]
    camera: WeakPerspective
    pose: Pose
    mesh: Mesh
    landmarks_cm: Points3
    misfit: float

    @property
    def is_of_a_face(self) -> bool:
        """Whether the landmarks can belong to an upright face."""
        return self.misfit < _NO_FACE


def fit_head(landmarks: Points3) -> HeadFit:
    """Return the head and the camera that fit ``landmarks`` best.

    The same as ``fit_views`` with one view.

    Parameters
    ----------
    landmarks : (478, 3) float64
        Like ``Face.landmarks``: pixels, x right, y down, z away from the camera.

    Raises
    ------
    ValueError
        If the shape is wrong, or a coordinate is not finite.
    """
    return fit_views([landmarks])[0]


def fit_pose(landmarks: Points3) -> Pose:
    """Return the pose of the head that `fit_head` returns. Without the rest, this takes half as long.

    Raises
    ------
    ValueError
        If the shape is wrong, or a coordinate is not finite.
    """
    camera, _, _ = _placed(landmarks)
    return pose_from_rotation(camera.rotation)


def fit_views(views: Sequence[Points3]) -> tuple[HeadFit, ...]:
    """Fit one head to all ``views`` of a person, and one camera to each view. Return one fit per view.

    All fits have the same identity and mesh. First, the cameras are fitted, as weighted similarity transforms
    (Umeyama 1991). Outliers among the landmarks get a lower weight (P. J. Huber 1964,
    doi:10.1214/aoms/1177703732). Then the coefficients are computed in closed form, as a posterior mean.

    The prior of the coefficients is N(0, 1). All errors of the landmarks are assumed to be normally
    distributed, too. Two covariances were measured on synthetic people: one on faces without expression, one
    on faces with an expression. For each view, the two covariances are mixed in the ratio of their
    likelihoods. Some errors are the same in all pictures of a person, so they do not decrease with more
    views.

    Parameters
    ----------
    views : sequence of (478, 3) float64
        The landmarks of a face in each picture, like ``Face.landmarks``, in pixels.

    Raises
    ------
    ValueError
        If there is no view, a shape is wrong, or a coordinate is not finite.
    """
    if not views:
        raise ValueError("there must be at least one view")
    placed = [_placed(landmarks) for landmarks in views]
    coefficients, misfits = _posterior(
        [deviation for _, _, deviation in placed], [camera for camera, _, _ in placed]
    )
    head = mesh(coefficients)
    return tuple(
        HeadFit(coefficients, camera, pose_from_rotation(camera.rotation), head, landmarks_cm, float(misfit))
        for (camera, landmarks_cm, _), misfit in zip(placed, misfits, strict=True)
    )


def camera_on(fit: HeadFit, vertices: Points3) -> WeakPerspective:
    """Return the camera that projects ``vertices`` (468, 3), in cm, closest to the fit's landmarks.

    ``fit.camera`` is less exact for ``vertices``: it is fitted to smoothed landmarks, and also to their
    depths, which a picture hardly determines.
    """
    pixels = fit.camera.project(fit.landmarks_cm)[:, :2]
    return fit.camera.refined(vertices, pixels, landmark_weights())


@cache
def landmark_weights() -> NDArray[np.float64]:
    """Return the weight of each landmark in the fit of the pose: (468,), 0 to 1, read-only."""
    weights = np.full(SURFACE_COUNT, 0.5)
    # Expressions move the jaw and the brows.
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


@dataclass(frozen=True, eq=False)
class _Solver:
    """Matrices of the fit that do not depend on the face, in the L directions of ``DetectorError``.

    Attributes
    ----------
    directions : (L, 1404) float64
        Orthonormal directions in which landmarks vary: 468 landmarks times x, y, z.
    bias : (6, L) float64
        One row for each of ``pose_terms``.
    response : (L, 80) float64
        Change of the landmarks for a coefficient of 1.
    lasting : (L, L) float64
        Covariance of the errors that all pictures of a person share.
    kinds : (2, L, L) float64
        Covariance of the other errors, for a face without and for a face with an expression.
    smooth : (L, L) float64
        Removes the noise from the detected landmarks of a face with an expression.
    widening : (80,) float64
        Factors that increase the variation of the recovered coefficients; see `_WIDENING`.
    """

    directions: Matrix
    bias: Matrix
    response: Matrix
    lasting: Matrix
    kinds: NDArray[np.float64]
    smooth: Matrix
    widening: NDArray[np.float64]


@cache
def _solver() -> _Solver:
    measured = detector_error()
    count = len(measured.directions)
    directions = measured.directions.reshape(count, -1)
    within, expressions, perspective = (
        fields.reshape(len(fields), -1) @ directions.T
        for fields in (within_person_fields(), expression_fields(), perspective_fields())
    )
    photographs = _WITHIN_PERSON**2 * within.T @ within
    lasting = measured.lasting + _LASTING * photographs
    noise = _NOISE_CM**2 * np.eye(count)
    everywhere = (1.0 - _LASTING) * photographs + perspective.T @ perspective + noise
    shares = np.full(len(expressions), _EXPRESSIONS**2)
    shares[-1] = _SMILE**2
    kinds = np.array(
        [
            measured.at_rest - measured.lasting + everywhere,
            measured.acting - measured.lasting + everywhere + (shares * expressions.T) @ expressions,
        ]
    )
    # The difference of two sample covariances can have small or negative eigenvalues.
    kinds = np.array([_positive(kind, _NOISE_CM**2) for kind in kinds])
    signal = measured.response @ measured.response.T + lasting
    smooth = np.eye(count) - noise @ np.linalg.inv(signal + kinds[1])
    usual = np.linalg.solve(signal + kinds.mean(axis=0), measured.response)
    spread = np.sqrt((measured.response * usual).sum(axis=0))
    return _Solver(directions, measured.bias, measured.response, lasting, kinds, smooth, spread**-_WIDENING)


def _placed(landmarks: Points3) -> tuple[WeakPerspective, Points3, NDArray[np.float64]]:
    """Return the camera of a view, its landmarks (468, 3) in model space, and their deviation (L,).

    The deviation from the canonical mesh is given in the L directions of ``DetectorError``.
    """
    check_landmarks(landmarks)
    # Convert to the right-handed axes of model space: y up, z towards the camera.
    observed = landmarks[:SURFACE_COUNT] * (1.0, -1.0, -1.0)
    weights, solver = landmark_weights(), _solver()
    canonical = canonical_mesh().vertices
    shape, trust = canonical, np.ones(SURFACE_COUNT)
    deviation = np.zeros(len(solver.directions))
    for _ in range(_ALTERNATIONS):
        _, points = _carried(observed, shape, weights * trust)
        # Outliers get the same reduced weight as for the camera.
        believed = shape + trust[:, None] * (points - shape)
        deviation = solver.directions @ (believed - canonical).reshape(-1)
        shape = canonical + ((solver.smooth @ deviation) @ solver.directions).reshape(canonical.shape)
        trust = _trust(np.linalg.norm(points - shape, axis=1))
    camera, points = _carried(observed, shape, weights * trust)
    return camera, points, deviation


def _posterior(
    deviations: Sequence[NDArray[np.float64]], cameras: Sequence[WeakPerspective]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the identity coefficients (80,) of the person in V views, and the misfit (V,) of each view.

    ``deviations`` has the deviation (L,) of each view from the canonical mesh, as returned by `_placed`.
    """
    solver = _solver()
    signal = solver.response @ solver.response.T
    errors, misfits, biases = [], [], []
    for deviation, camera in zip(deviations, cameras, strict=True):
        pose = pose_from_rotation(camera.rotation)
        powers = pose_terms(np.array(pose.yaw), np.array(pose.pitch))
        # It is unknown how much of the bias applies to this picture, so use the bias as a covariance.
        constant, by_pose = solver.bias[0], powers[1:] @ solver.bias[1:]
        bias = np.outer(constant, constant) + np.outer(by_pose, by_pose)
        known = signal + solver.lasting + bias
        distance, size = [], []
        for kind in solver.kinds:
            factor = np.linalg.cholesky(known + kind)
            distance.append(float((solve_triangular(factor, deviation, lower=True) ** 2).sum()))
            # Copy, so that the last bit does not depend on the memory layout (see `canvas.polar_angle`).
            size.append(2.0 * float(np.log(np.diag(factor).copy()).sum()))
        likelier = _TEMPER * (distance[1] + size[1] - distance[0] - size[0]) / 2.0
        at_rest = 1.0 / (1.0 + np.exp(-np.clip(likelier, -30.0, 30.0)))
        errors.append(at_rest * solver.kinds[0] + (1.0 - at_rest) * solver.kinds[1])
        biases.append(bias)
        misfits.append((at_rest * distance[0] + (1.0 - at_rest) * distance[1]) / len(deviation))
    misfit = np.clip(misfits, _LEAST_MISFIT, _MOST_MISFIT)
    # The misfit changes the weights of the views relative to each other, but not their total weight.
    left, mean = _sum_of_views(deviations, errors, misfit / misfit.mean())
    total = signal + solver.lasting + np.mean(biases, axis=0) + left
    coefficients: NDArray[np.float64] = solver.response.T @ np.linalg.solve(total, mean)
    # Stretched pictures, and pictures that show no face, can exceed the limit.
    return np.clip(coefficients * solver.widening, -_FARTHEST, _FARTHEST), misfit


def _sum_of_views(
    deviations: Sequence[NDArray[np.float64]], errors: Sequence[Matrix], factors: NDArray[np.float64]
) -> tuple[Matrix, NDArray[np.float64]]:
    """Return the covariance (L, L) and the mean (L,) of the deviations of all views, weighted by precision.

    ``errors`` has the covariance of each view. Each covariance is multiplied by the view's factor in
    ``factors``.
    """
    if len(deviations) == 1:
        return errors[0], deviations[0]
    inverses = [np.linalg.inv(error * factor) for error, factor in zip(errors, factors, strict=True)]
    covariance: Matrix = np.linalg.inv(np.sum(inverses, axis=0))
    summed = np.sum(
        [inverse @ deviation for inverse, deviation in zip(inverses, deviations, strict=True)], axis=0
    )
    return covariance, covariance @ summed


def _positive(matrix: Matrix, least: float) -> Matrix:
    """Return the symmetric part of ``matrix`` with all eigenvalues raised to at least ``least``."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.maximum(values, least)) @ vectors.T)


def _carried(
    observed: Points3, expected: Points3, weights: NDArray[np.float64]
) -> tuple[WeakPerspective, Points3]:
    """Return the camera that fits ``expected`` to ``observed`` best, and ``observed`` in model space."""
    scale, rotation, translation = similarity_transform(expected, observed, weights)
    camera = WeakPerspective(scale, rotation, translation[:2] * (1.0, -1.0))
    return camera, (observed - translation) @ rotation / scale


def _trust(residual_cm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Huber's weights: 1 for residuals up to twice the median, falling for larger residuals."""
    ordered = np.sort(residual_cm)
    # The median. NumPy's function takes many times as long for so few numbers.
    limit = ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]
    return np.asarray(np.minimum(1.0, limit / np.maximum(residual_cm, max(limit, sys.float_info.min))))
