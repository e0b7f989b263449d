"""From landmarks to a head: who it is, how it is turned, and where the camera has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_data, canonical_mesh
from emulator.face.detector_error import detector_error
from emulator.face.expression import expression_fields
from emulator.face.identity import identity_modes, mesh, similarity_fields
from emulator.face.landmarks import (
    CHIN,
    LANDMARK_COUNT,
    LEFT_EYE,
    LEFT_EYEBROW,
    LEFT_JAW,
    LIPS_INNER,
    LIPS_OUTER,
    MIRROR,
    RIGHT_EYE,
    RIGHT_EYEBROW,
    RIGHT_JAW,
    RIGID,
    SURFACE_COUNT,
)
from emulator.face.mesh import Mesh, vertex_normals
from emulator.face.pose import Pose, WeakPerspective, pose_from_rotation, similarity_transform
from emulator.face.types import Matrix, Points3, check_points

_ALTERNATIONS = 4

# The spread that coefficients are expected to have: less than 1, a stronger ridge, tells people
# apart better, since what is left of a direction is then what can be relied on.
_SPREAD = 0.5

# What of a landmark's error is its own, and neither its neighbours' nor an expression's.
_NOISE_CM = 0.06

# Detectors see faces less different from the mean than they are, and differently on every
# photograph: along each harmonic by about as much as faces seem to differ, more across the plane of
# symmetry. Measured on a few people's photographs: within one person, even and odd, along x, y, z.
_WITHIN_CM = 0.148
_WITHIN_EXPONENT = 0.685
_EVEN_WITHIN = (1.0, 0.75, 0.6)
_ODD_WITHIN = (1.0, 0.6, 0.6)

# One over the distance to the camera: photographs are taken from 80 cm, give or take; a camera
# that is farther away than infinitely far comes from detectors that overdo it.
_NEARNESS_PER_CM = 1.0 / 80.0

# How much more the identity's head says about depth than a view from the side does. The detector's
# errors turn with the head: on drawn people, views 30 degrees apart that were intersected gave a worse
# head than one view alone.
_DEPTH_PRIOR = 10.0

# A photograph that fits worse than usual is trusted less, one that fits better not much more.
_LEAST_DOUBT, _MOST_DOUBT = 0.15, 10.0


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

    All fits have the same identity and mesh. Alternates between the cameras (the weighted similarity
    of Umeyama 1991, landmarks that stick out counting less, after P. J. Huber 1964,
    doi:10.1214/aoms/1177703732) and the identity, which is the maximum a posteriori in closed form:
    coefficients are N(0, 1), and so is what is fitted along and thrown away: expressions, the
    detector's systematic errors, a near camera's perspective.

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
    # Right-handed, as model space is: y up and z towards the camera.
    observed = [landmarks[:SURFACE_COUNT] * (1.0, -1.0, -1.0) for landmarks in views]
    weights, solver = landmark_weights(), _solver()
    canonical = canonical_mesh().vertices
    expected = [canonical] * len(views)
    trust = [np.ones(SURFACE_COUNT)] * len(views)
    doubt = np.ones(len(views))
    coefficients = np.zeros(len(solver.identity))
    for _ in range(_ALTERNATIONS):
        carried = [
            _carried(seen, shape, weights * trusted)[3]
            for seen, shape, trusted in zip(observed, expected, trust, strict=True)
        ]
        # A landmark gone astray is believed no more here than it is for the camera.
        believed = [
            shape + trusted[:, None] * (points - shape)
            for points, shape, trusted in zip(carried, expected, trust, strict=True)
        ]
        deviations = np.array([(points - canonical).reshape(-1) for points in believed])
        coefficients = solver.identity_from(deviations, doubt)
        rest = deviations - coefficients @ solver.identity
        nuisance = rest @ solver.to_nuisance.T
        doubt = np.clip((nuisance**2).sum(axis=1) / solver.freedom, _LEAST_DOUBT, _MOST_DOUBT)
        shapes = (coefficients @ solver.identity + nuisance @ solver.nuisance).reshape(-1, SURFACE_COUNT, 3)
        expected = list(canonical + shapes)
        trust = [
            _trust(np.linalg.norm(points - shape, axis=1))
            for points, shape in zip(carried, expected, strict=True)
        ]
    head = mesh(coefficients)
    fits = []
    for seen, shape, trusted, doubtful in zip(observed, expected, trust, doubt, strict=True):
        scale, rotation, translation, landmarks_cm = _carried(seen, shape, weights * trusted)
        camera = WeakPerspective(scale, rotation, translation[:2] * (1.0, -1.0))
        pose = pose_from_rotation(rotation)
        fits.append(HeadFit(coefficients, camera, pose, head, landmarks_cm, float(doubtful)))
    return tuple(fits)


def observed_shape(fits: Sequence[HeadFit]) -> Points3:
    """Return the vertices (468, 3), cm, of the head as the views show it: expression and detail too.

    Each view says where a vertex lies across its line of sight, by how much it faces the camera;
    along the line of sight it says little, and the identity's head decides. So a single view is
    matched to the pixel. Views from all around are intersected; views that differ little do not
    add up to a depth.
    """
    vertices = fits[0].mesh.vertices
    normals = vertex_normals(vertices, fits[0].mesh.triangles)
    towards = np.sum([fit.camera.rotation[2] for fit in fits], axis=0)
    towards = towards / np.linalg.norm(towards)
    # The identity's depth counts like this many views from the side.
    prior = 1e-3 * np.eye(3) + _DEPTH_PRIOR * len(fits) * np.outer(towards, towards)
    known = np.broadcast_to(prior, (len(vertices), 3, 3)).copy()
    total = np.zeros((len(vertices), 3))
    for fit in fits:
        sight = fit.camera.rotation[2]
        across = np.eye(3) - np.outer(sight, sight)
        # A vertex that no view sees still goes along with its view, by a little.
        weight = (np.clip(normals @ sight, 0.0, 1.0) ** 2 + 0.02) / fit.doubt
        known += weight[:, None, None] * across
        total += weight[:, None] * ((fit.landmarks_cm - vertices) @ across)
    offset: Points3 = np.linalg.solve(known, total[:, :, None])[:, :, 0]
    return vertices + offset


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
    """The linear algebra that is the same for all faces. 1404 is 468 landmarks times x, y, z.

    Attributes
    ----------
    identity : (80, 1404) float64
        The modes, a standard deviation each, cm.
    nuisance : (N, 1404) float64
        What is fitted along, a standard deviation each, cm.
    to_identity : (80, 1404) float64
        The modes times the inverse covariance of everything that is not identity.
    axes, precisions : (80, 80), (80,) float64
        Eigenvectors and eigenvalues of ``to_identity @ identity.T``: what one view tells.
    to_nuisance : (N, 1404) float64
        From what the identity leaves to the most likely nuisance.
    freedom : float
        The expected sum of squares of that nuisance.
    """

    identity: Matrix
    nuisance: Matrix
    to_identity: Matrix
    axes: Matrix
    precisions: NDArray[np.float64]
    to_nuisance: Matrix
    freedom: float

    def identity_from(
        self, deviations: NDArray[np.float64], doubt: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the most likely coefficients (80,) for views (W, 1404) of different ``doubt`` (W,)."""
        told = self.axes.T @ (self.to_identity @ (deviations / doubt[:, None]).sum(axis=0))
        ridge = 1.0 / _SPREAD**2
        coefficients: NDArray[np.float64] = self.axes @ (
            told / (self.precisions * (1.0 / doubt).sum() + ridge)
        )
        return coefficients


@cache
def _solver() -> _Solver:
    basis = identity_modes()
    vertices = canonical_mesh().vertices
    identity = (basis.modes * basis.deviations_cm[:, None, None]).reshape(len(basis.modes), -1)
    fields = np.concatenate([expression_fields(), detector_error(), _within_person(), _perspective(vertices)])
    nuisance = fields.reshape(len(fields), -1)
    # Moving, turning and scaling are free; they are the camera's business.
    free = 100.0 * similarity_fields(vertices).reshape(7, -1)
    unwanted = np.concatenate([nuisance, free]) / _NOISE_CM
    # Woodbury: the inverse of (noise + unwanted.T @ unwanted) without building it.
    inner = np.linalg.inv(np.eye(len(unwanted)) + unwanted @ unwanted.T)
    scaled = identity / _NOISE_CM
    to_identity = (scaled - (scaled @ unwanted.T) @ inner @ unwanted) / _NOISE_CM
    information = to_identity @ identity.T
    precisions, axes = np.linalg.eigh((information + information.T) / 2)
    to_nuisance = (inner @ unwanted / _NOISE_CM)[: len(nuisance)]
    # Of what the nuisance's N(0, 1) is seen through the noise: the posterior mean's variance.
    freedom = float((1.0 - np.diag(inner)[: len(nuisance)]).sum())
    return _Solver(identity, nuisance, to_identity, axes, precisions, to_nuisance, freedom)


def _within_person() -> NDArray[np.float64]:
    """Return fields (F, 468, 3): by how much one person's photographs seem to differ, cm."""
    canonical = canonical_data()
    fields = []
    for harmonic, frequency in zip(canonical.harmonics, canonical.frequencies, strict=True):
        even = harmonic[list(MIRROR[:SURFACE_COUNT])] @ harmonic > 0
        for axis in range(3):
            field = np.zeros((SURFACE_COUNT, 3))
            # Along x a mirror image also changes the sign.
            factors = _EVEN_WITHIN if even == (axis > 0) else _ODD_WITHIN
            field[:, axis] = harmonic * (factors[axis] * _WITHIN_CM * frequency**-_WITHIN_EXPONENT)
            fields.append(field)
    return np.array(fields)


def _perspective(vertices: Points3) -> NDArray[np.float64]:
    """Return fields (3, 468, 3): what a near camera does to a face, seen from three sides.

    A point that is nearer to the camera by ``h`` appears larger by ``h / distance``. A head that is
    turned is near to the camera with its other side, by the sine of its angle: 20 degrees as a rule.
    """
    directions = np.diag([0.35, 0.35, 1.0])
    fields = [vertices * (vertices @ direction)[:, None] * _NEARNESS_PER_CM for direction in directions]
    return np.array(fields)


def _carried(
    observed: Points3, expected: Points3, weights: NDArray[np.float64]
) -> tuple[float, Matrix, NDArray[np.float64], Points3]:
    """Return the camera that has ``expected`` nearest to ``observed``, and ``observed`` in model space."""
    scale, rotation, translation = similarity_transform(expected, observed, weights)
    return scale, rotation, translation, (observed - translation) @ rotation / scale


def _trust(residual_cm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Huber's weights: 1 up to twice the median residual, falling beyond."""
    limit = 2.0 * np.median(residual_cm)
    return np.asarray(np.minimum(1.0, limit / np.maximum(residual_cm, max(limit, np.finfo(float).tiny))))
