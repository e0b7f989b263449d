"""From landmarks to a head: who it is, how it is turned, and where the camera has it."""

from __future__ import annotations

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
from emulator.face.identity import mesh
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
from emulator.face.mesh import Mesh, vertex_normals
from emulator.face.pose import Pose, WeakPerspective, pose_from_rotation, similarity_transform
from emulator.face.types import Matrix, Points3, check_points

_ALTERNATIONS = 3

# What of a landmark's error no direction tells of.
_NOISE_CM = 0.06

# Photographs differ from one another by more than drawn pictures do: by this much of what one
# person's seem to differ by, half of which stays from one photograph to the next; and by this much
# of the expressions that drawn people do not have. Chosen by trying on photographs and drawn faces.
_WITHIN_PERSON = 0.8
_LASTING = 0.5
_EXPRESSIONS = 0.1

# Smiles of photographed people (the last expression) are drawn ones' only in part.
_SMILE = 0.3

# How surely a face is told to be at rest by one likelihood against the other: they are told in more
# numbers than are independent of one another.
_TEMPER = 0.25

# What is recovered of a coefficient varies less over many faces than the coefficient does, and the
# finest hardly at all. This power of the ratio is given back: with 1 all would vary as drawn ones
# do, and the finest with nothing but noise; with 0 they would be dead.
_WIDENING = 0.6

# How many standard deviations from the mean a coefficient may be: one face in some 16,000 is, in each.
_FARTHEST = 4.0

# How much of what views agree to show beside the identity's head is delivered. Most of it is the
# detector's error: less would be nearer to the person, and farther from the picture than 1 % of the eye
# distance. Several views' errors differ, so no head could be that near to all of their pictures.
_DETAIL = 0.55

# How much more the identity's head says about depth than a view from the side does. The detector's
# errors turn with the head: on drawn people, views 30 degrees apart that were intersected gave a worse
# head than one view alone.
_DEPTH_PRIOR = 10.0

# A photograph that fits worse than usual is trusted less, one that fits better not much more.
_LEAST_DOUBT, _MOST_DOUBT = 0.15, 10.0

# Beyond this it is no face, or one upside down, which the mesh model takes for an upright one. Photographed
# faces have up to 1, drawn ones turned by 50 degrees up to 2.9; photographed ones upside down 4 to 7.
_NO_FACE = 3.0


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
    doubt : float
        How much worse than usual the landmarks fit a face: 1 is usual. Of several views those of
        little doubt count most.
    """

    identity_coefficients: NDArray[np.float64]
    camera: WeakPerspective
    pose: Pose
    mesh: Mesh
    landmarks_cm: Points3
    doubt: float

    @property
    def is_of_a_face(self) -> bool:
        """Whether the landmarks can be a face's, the right way up."""
        return self.doubt < _NO_FACE


def fit_head(landmarks: Points3) -> HeadFit:
    """Return the head, and the camera that sees it, that explain ``landmarks`` best.

    ``fit_views`` with one view.

    Parameters
    ----------
    landmarks : (478, 3) float64
        As ``Face`` has them: pixels, x right, y down, z away from the camera.

    Raises
    ------
    ValueError
        If the shape is another one, or a coordinate is not finite.
    """
    return fit_views([landmarks])[0]


def fit_views(views: Sequence[Points3]) -> tuple[HeadFit, ...]:
    """Return one person's head as all ``views`` show it, with each view's camera: one fit a view.

    All fits have the same identity and mesh. First come the cameras (the weighted similarity of
    Umeyama 1991, landmarks that stick out counting less, after P. J. Huber 1964,
    doi:10.1214/aoms/1177703732), then the identity: the posterior mean in closed form.
    Coefficients are N(0, 1), and what else moves landmarks is normal too, with the covariances that
    were measured on drawn people at rest and on others; a view belongs to either kind by as much as
    its likelihoods say. What errs alike in all pictures of a person does not go away with more views.

    Parameters
    ----------
    views : sequence of (478, 3) float64
        As ``Face`` has landmarks, in each picture's own pixels.

    Raises
    ------
    ValueError
        If there is no view, a shape is another one, or a coordinate is not finite.
    """
    if not views:
        raise ValueError("there must be a view")
    for landmarks in views:
        check_points(landmarks, 3, "landmarks")
        if len(landmarks) != LANDMARK_COUNT:
            raise ValueError(f"landmarks must be ({LANDMARK_COUNT}, 3), not {landmarks.shape}")
    placed = [_placed(landmarks) for landmarks in views]
    coefficients, doubt = _posterior([told for _, _, told in placed], [camera for camera, _, _ in placed])
    head = mesh(coefficients)
    return tuple(
        HeadFit(
            coefficients, camera, pose_from_rotation(camera.rotation), head, landmarks_cm, float(doubtful)
        )
        for (camera, landmarks_cm, _), doubtful in zip(placed, doubt, strict=True)
    )


def observed_shape(fits: Sequence[HeadFit]) -> Points3:
    """Return the vertices (468, 3), cm, of the head as the views show it: expression and detail too.

    The identity's head, and a part of what the views show beside it: the more they contradict one another
    in that, the less. Each view
    says where a vertex lies across its line of sight, by how much it faces the camera; along the line
    of sight it says little, and the identity's head decides. Views from all around are intersected;
    views that differ little do not add up to a depth.
    """
    vertices = fits[0].mesh.vertices
    normals = vertex_normals(vertices, fits[0].mesh.triangles)
    towards = np.sum([fit.camera.rotation[2] for fit in fits], axis=0)
    towards = towards / np.linalg.norm(towards)
    # The identity's depth counts like this many views from the side.
    prior = 1e-3 * np.eye(3) + _DEPTH_PRIOR * len(fits) * np.outer(towards, towards)
    known = np.broadcast_to(prior, (len(vertices), 3, 3)).copy()
    total = np.zeros((len(vertices), 3))
    details = []
    for fit in fits:
        sight = fit.camera.rotation[2]
        across = np.eye(3) - np.outer(sight, sight)
        # A vertex that no view sees still goes along with its view, by a little.
        weight = (np.clip(normals @ sight, 0.0, 1.0) ** 2 + 0.02) / fit.doubt
        details.append((fit.landmarks_cm - vertices) @ across)
        known += weight[:, None, None] * across
        total += weight[:, None] * details[-1]
    offset: Points3 = np.linalg.solve(known, total[:, :, None])[:, :, 0]
    # Squared: what views of drawn people share is still their detector's error, by the larger part.
    return vertices + _DETAIL * _agreement(details) ** 2 * offset


def _agreement(details: Sequence[Points3]) -> float:
    """Return 1 if all views show the same, 1 / N if the N views have nothing in common."""
    mean = np.mean(details, axis=0)
    shown = float(np.mean([(detail**2).sum() for detail in details]))
    return float((mean**2).sum()) / shown if shown > 0.0 else 1.0


def camera_on(fit: HeadFit, vertices: Points3) -> WeakPerspective:
    """Return the camera that has ``vertices`` (468, 3), cm, where the fit's landmarks lie in the picture.

    The fit's own camera sees the head as smoothed landmarks have it, which is not the head that is
    delivered, and compares depths too, of which a picture says little.
    """
    pixels = fit.camera.project(fit.landmarks_cm)[:, :2]
    return fit.camera.refined(vertices, pixels, landmark_weights())


@cache
def landmark_weights() -> NDArray[np.float64]:
    """Return (468,), read-only: how much each landmark says about the pose, 0 to 1."""
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


@dataclass(frozen=True, eq=False)
class _Solver:
    """The linear algebra that is the same for all faces, in the detector's L directions.

    Attributes
    ----------
    directions : (L, 1404) float64
        468 landmarks times x, y, z.
    bias : (6, L) float64
        By ``pose_terms``.
    response : (L, 80) float64
        To coefficients of 1.
    lasting : (L, L) float64
        Covariance of what errs alike in all pictures of a person.
    kinds : (2, L, L) float64
        Covariance of what else errs in a picture of a face at rest, and of one with an expression.
    smooth : (L, L) float64
        From what is seen to what a face with an expression can look like.
    widening : (80,) float64
        What posterior means are multiplied by to vary as coefficients do.
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
    # Two samples' difference may lack a little to being a covariance.
    kinds = np.array([_positive(kind, _NOISE_CM**2) for kind in kinds])
    signal = measured.response @ measured.response.T + lasting
    smooth = np.eye(count) - noise @ np.linalg.inv(signal + kinds[1])
    usual = np.linalg.solve(signal + kinds.mean(axis=0), measured.response)
    spread = np.sqrt((measured.response * usual).sum(axis=0))
    return _Solver(directions, measured.bias, measured.response, lasting, kinds, smooth, spread**-_WIDENING)


def _placed(landmarks: Points3) -> tuple[WeakPerspective, Points3, NDArray[np.float64]]:
    """Return a view's camera, its landmarks in model space, and what they say (L,) in all directions."""
    # Right-handed, as model space is: y up and z towards the camera.
    observed = landmarks[:SURFACE_COUNT] * (1.0, -1.0, -1.0)
    weights, solver = landmark_weights(), _solver()
    canonical = canonical_mesh().vertices
    shape, trust = canonical, np.ones(SURFACE_COUNT)
    told = np.zeros(len(solver.directions))
    for _ in range(_ALTERNATIONS):
        _, points = _carried(observed, shape, weights * trust)
        # A landmark gone astray is believed no more here than it is for the camera.
        believed = shape + trust[:, None] * (points - shape)
        told = solver.directions @ (believed - canonical).reshape(-1)
        shape = canonical + ((solver.smooth @ told) @ solver.directions).reshape(canonical.shape)
        trust = _trust(np.linalg.norm(points - shape, axis=1))
    camera, points = _carried(observed, shape, weights * trust)
    return camera, points, told


def _posterior(
    told: Sequence[NDArray[np.float64]], cameras: Sequence[WeakPerspective]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return one person's coefficients (80,) from views that each told (L,), and each view's doubt (V,)."""
    solver = _solver()
    signal = solver.response @ solver.response.T
    errors, doubts, biases = [], [], []
    for numbers, camera in zip(told, cameras, strict=True):
        pose = pose_from_rotation(camera.rotation)
        powers = pose_terms(np.array(pose.yaw), np.array(pose.pitch))
        # How much a face looks drawn, and how much it errs with the pose, is anyone's guess.
        seen_drawn, seen_turned = solver.bias[0], powers[1:] @ solver.bias[1:]
        bias = np.outer(seen_drawn, seen_drawn) + np.outer(seen_turned, seen_turned)
        known = signal + solver.lasting + bias
        misfit, size = [], []
        for kind in solver.kinds:
            factor = np.linalg.cholesky(known + kind)
            misfit.append(float((solve_triangular(factor, numbers, lower=True) ** 2).sum()))
            # A copy, so that the last bit does not depend on where it lies (see polar_angle).
            size.append(2.0 * float(np.log(np.diag(factor).copy()).sum()))
        likelier = _TEMPER * (misfit[1] + size[1] - misfit[0] - size[0]) / 2.0
        at_rest = 1.0 / (1.0 + np.exp(-np.clip(likelier, -30.0, 30.0)))
        errors.append(at_rest * solver.kinds[0] + (1.0 - at_rest) * solver.kinds[1])
        biases.append(bias)
        doubts.append((at_rest * misfit[0] + (1.0 - at_rest) * misfit[1]) / len(numbers))
    doubt = np.clip(doubts, _LEAST_DOUBT, _MOST_DOUBT)
    # Against one another, views count by their doubt; all together they count in full.
    left, mean = _sum_of_views(told, errors, doubt / doubt.mean())
    total = signal + solver.lasting + np.mean(biases, axis=0) + left
    coefficients: NDArray[np.float64] = solver.response.T @ np.linalg.solve(total, mean)
    # Faces lie within; a picture that was stretched or is none would not.
    return np.clip(coefficients * solver.widening, -_FARTHEST, _FARTHEST), doubt


def _sum_of_views(
    told: Sequence[NDArray[np.float64]], errors: Sequence[Matrix], doubt: NDArray[np.float64]
) -> tuple[Matrix, NDArray[np.float64]]:
    """Return the covariance (L, L) of what the views together tell, and what it is (L,)."""
    if len(told) == 1:
        return errors[0], told[0]
    inverses = [np.linalg.inv(error * doubtful) for error, doubtful in zip(errors, doubt, strict=True)]
    covariance: Matrix = np.linalg.inv(np.sum(inverses, axis=0))
    summed = np.sum([inverse @ seen for inverse, seen in zip(inverses, told, strict=True)], axis=0)
    return covariance, covariance @ summed


def _positive(matrix: Matrix, least: float) -> Matrix:
    """Return a symmetric matrix with no eigenvalue below ``least``."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.maximum(values, least)) @ vectors.T)


def _carried(
    observed: Points3, expected: Points3, weights: NDArray[np.float64]
) -> tuple[WeakPerspective, Points3]:
    """Return the camera that has ``expected`` nearest to ``observed``, and ``observed`` in model space."""
    scale, rotation, translation = similarity_transform(expected, observed, weights)
    camera = WeakPerspective(scale, rotation, translation[:2] * (1.0, -1.0))
    return camera, (observed - translation) @ rotation / scale


def _trust(residual_cm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Huber's weights: 1 up to twice the median residual, falling beyond."""
    limit = 2.0 * np.median(residual_cm)
    return np.asarray(np.minimum(1.0, limit / np.maximum(residual_cm, max(limit, np.finfo(float).tiny))))
