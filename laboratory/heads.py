"""The neutral head: the mean of detected faces, aligned to one pose and with a closed mouth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emulator.face.detection import FaceDetector
from emulator.face.landmarks import (
    CHIN_TIP,
    FACE_OVAL,
    LEFT_IRIS,
    LEFT_JAW,
    LOWER_LIP_INNER,
    MIRROR,
    RIGHT_IRIS,
    RIGHT_JAW,
    RIGID,
    UPPER_LIP_INNER,
)
from emulator.face.pose import similarity_transform
from emulator.face.types import Image, Points3

INTERPUPILLARY_CM = 6.3
"""Distance between the pupils of the canonical head: the mean of adults. It sets the mesh's scale."""

# Positions are rounded to this step, so that reflection is exact and the file small.
_POSITION_STEP_CM = 2.0**-14


def observed_heads(photos: Sequence[Image], detector: FaceDetector) -> NDArray[np.float64]:
    """Detect the faces in ``photos`` and their mirror images.

    Returns (N, 478, 3) in pixels: x right, y up, z towards the camera.
    """
    heads = [
        face.landmarks * (1.0, -1.0, -1.0)
        for photo in photos
        for view in (photo, photo[:, ::-1])
        for face in detector.detect(view)
    ]
    if not heads:
        raise ValueError("no face was found in the photos")
    return np.array(heads)


def aligned_heads(heads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``heads`` (N, 478, 3) aligned to one pose and scale, in model space.

    This is generalised Procrustes analysis (J. C. Gower 1975, doi:10.1007/BF02291478), with most weight
    on points that expressions move little. Then all heads are moved, so that the mean is symmetric about x =
    0.
    """
    weights = np.full(heads.shape[1], 0.1)
    weights[list(RIGID)] = 1.0
    mean = heads[0]
    for _ in range(12):
        aligned = np.array([_carried(head, mean, weights) for head in heads])
        mean = aligned.mean(axis=0)
        reflected = mean[list(MIRROR)] * (-1.0, 1.0, 1.0)
        mean = (mean + _carried(reflected, mean, weights)) / 2
    return np.array([in_model_space(head, mean) for head in aligned])


def in_model_space(head: Points3, mean: Points3) -> Points3:
    """Return ``head`` (478, 3), moved by the similarity transform that maps ``mean`` to model space.

    The transform makes ``mean`` upright and symmetric about x = 0, with the origin between the ears
    and the pupils ``INTERPUPILLARY_CM`` apart.
    """
    # All differences between mirrored points are perpendicular to the plane of symmetry.
    across = np.linalg.svd(mean[list(MIRROR)] - mean)[2][0]
    ear_right, ear_left = mean[RIGHT_JAW[0]], mean[LEFT_JAW[0]]
    across = across * np.sign(across @ (ear_left - ear_right))
    up = mean[FACE_OVAL[0]] - mean[CHIN_TIP]
    up = up - (up @ across) * across
    up /= np.linalg.norm(up)
    axes = np.stack([across, up, np.cross(across, up)])
    pupils = np.linalg.norm(mean[LEFT_IRIS[0]] - mean[RIGHT_IRIS[0]])
    placed: Points3 = (head - (ear_right + ear_left) / 2) @ axes.T
    return placed * (INTERPUPILLARY_CM / pupils)


def _carried(src: Points3, dst: Points3, weights: NDArray[np.float64]) -> Points3:
    """Return ``src`` after the similarity transform that brings it closest to ``dst``."""
    scale, rotation, translation = similarity_transform(src, dst, weights)
    carried: Points3 = scale * src @ rotation.T + translation
    return carried


def lip_gap(heads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vertical gap (...) between the middles of the lips in ``heads`` (..., V, 3)."""
    middle = len(UPPER_LIP_INNER) // 2
    gap: NDArray[np.float64] = heads[..., UPPER_LIP_INNER[middle], 1] - heads[..., LOWER_LIP_INNER[middle], 1]
    return gap


def mouth_opening(heads: NDArray[np.float64]) -> tuple[NDArray[np.float64], Points3]:
    """Return the gaps (N,) between the lips, and the effect (V, 3) of a gap of 1 cm on the face.

    The effect is a linear regression of each coordinate of ``heads`` (N, V, 3) on the gap. In these heads,
    mouths are open mostly because of smiles, so the effect includes the effect of smiles.
    """
    gap = lip_gap(heads)
    centred = gap - gap.mean()
    spread = float(centred @ centred)
    if spread < 1e-6:
        raise ValueError("the photos must show mouths that are open and mouths that are closed")
    field: Points3 = np.tensordot(centred, heads - heads.mean(axis=0), axes=1) / spread
    return gap, field


def symmetrised(vertices: Points3, mirror: Sequence[int] = MIRROR) -> Points3:
    """Return ``vertices`` (V, 3) averaged with their mirror image; the result is bit-exactly symmetric."""
    rounded = np.round(vertices / _POSITION_STEP_CM) * _POSITION_STEP_CM
    image = rounded[list(mirror[: len(vertices)])] * (-1.0, 1.0, 1.0)
    # Adding 0.0 converts -0.0 to 0.0.
    result: Points3 = (rounded + image) / 2 + 0.0
    return result


def with_lips_touching(vertices: Points3, gap_cm: float = 0.03) -> Points3:
    """Return ``vertices`` with the inner edges of the lips ``gap_cm`` apart, so that the lips never cross."""
    result = vertices.copy()
    for upper, lower in zip(UPPER_LIP_INNER[1:-1], LOWER_LIP_INNER[1:-1], strict=True):
        result[[upper, lower]] = (vertices[upper] + vertices[lower]) / 2
        result[upper, 1] += gap_cm / 2
        result[lower, 1] -= gap_cm / 2
    return result
