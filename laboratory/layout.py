"""The texture layout: the face mesh and the rings around it, flattened with minimal distortion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emulator.face.landmarks import FACE_OVAL, LIPS_OUTER, MIRROR, NOSE, RIGHT_EYE
from emulator.face.types import Matrix, Points2, Points3, Triangles
from laboratory.extension import head_mirror
from laboratory.harmonics import graph_laplacian

# The layout is for an open, smiling mouth, because the inside of the mouth needs room in the texture.
_LAYOUT_OPENING_CM = 0.8

# Texture coordinates are rounded to this step, so that reflection is exact and the file small.
_UV_STEP = 2.0**-18

_UV_MARGIN = 0.02


def layout(
    vertices: Points3, opening: Points3, triangles: Triangles, beyond: Points3, around: Triangles
) -> Points2:
    """Return the texture coordinates (576, 2) of the face and of the three rings of vertices around it."""
    open_mouthed = np.concatenate([vertices + _LAYOUT_OPENING_CM * opening, beyond])
    outermost = range(len(open_mouthed) - len(FACE_OVAL), len(open_mouthed))
    return unwrapped(
        open_mouthed,
        np.concatenate([triangles, around]),
        features_magnified(open_mouthed),
        tuple(outermost),
        head_mirror(),
    )


def unwrapped(
    vertices: Points3,
    triangles: Triangles,
    magnification: NDArray[np.float64],
    border: Sequence[int],
    mirror: Sequence[int],
    iterations: int = 1500,
) -> Points2:
    """Return symmetric texture coordinates (V, 2) without flipped or overlapping triangles.

    The start is the embedding of W. T. Tutte (1963, doi:10.1112/plms/s3-13.1.743), which never flips a
    triangle. Conjugate gradients, preconditioned with the Laplacian, then minimise a measure of distortion,
    the symmetric Dirichlet energy (J. Smith and S. Schaefer 2015, doi:10.1145/2766947). This energy becomes
    infinite before a triangle flips. The result is stretched to fill the square.

    Parameters
    ----------
    vertices : (V, 3)
    triangles : (T, 3)
    magnification : (V,)
        The factor by which lengths at each vertex are enlarged in the texture.
    border : sequence of int
        The border vertices, clockwise from the top as seen by the viewer.
    mirror : sequence of int
        The mirror image of each vertex.
    """
    size = magnification[triangles].mean(axis=1)
    corners = vertices[triangles]
    edge, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    length = np.linalg.norm(edge, axis=1)
    along = (edge * other).sum(axis=1) / length
    height = np.linalg.norm(np.cross(edge, other), axis=1) / length
    # Each triangle in its own plane, as a matrix with two of its edges as columns.
    flat = np.zeros((len(triangles), 2, 2))
    flat[:, 0, 0], flat[:, 0, 1], flat[:, 1, 1] = length * size, along * size, height * size
    area = length * height * size**2 / 2
    from_flat = np.linalg.inv(flat)

    laplacian = graph_laplacian(triangles, len(vertices))
    position = _tutte(laplacian, float(area.sum()), np.array(border))
    # A layout without fixed points can shift as a whole. The small diagonal prevents this.
    precondition = np.linalg.inv(laplacian + 1e-3 * np.eye(len(vertices)))
    energy, gradient = _dirichlet(position, triangles, from_flat, area)
    direction = np.zeros_like(position)
    previous = np.ones_like(position)
    for _ in range(iterations):
        # Polak-Ribiere conjugate gradients.
        step = precondition @ gradient
        blend = ((gradient - previous) * step).sum() / np.vdot(previous, precondition @ previous)
        previous = gradient
        direction = -step + max(0.0, float(blend)) * direction
        if (direction * gradient).sum() >= 0:
            direction = -step
        slope = float((direction * gradient).sum())
        if slope > -1e-9 * energy:
            break
        rate = 1.0
        while rate >= 1e-12:
            moved = position + rate * direction
            moved_energy, moved_gradient = _dirichlet(moved, triangles, from_flat, area)
            if moved_energy <= energy + 1e-4 * rate * slope:
                break
            rate /= 2
        else:
            break
        position, energy, gradient = moved, moved_energy, moved_gradient
    return _fitted(position, np.array(mirror), np.array(border))


def features_magnified(vertices: Points3) -> NDArray[np.float64]:
    """Return the magnification (V,) in the texture: higher at eyes, lips and nose."""
    features = [*RIGHT_EYE, *(MIRROR[index] for index in RIGHT_EYE), *LIPS_OUTER, *NOSE]
    distance = np.linalg.norm(vertices[:, None] - vertices[None, features], axis=2).min(axis=1)
    return np.asarray(1.0 + 0.35 * np.exp(-((distance / 1.2) ** 2)))


def _tutte(laplacian: Matrix, area: float, border: NDArray[np.int64]) -> Points2:
    """Return the Tutte embedding (V, 2): the border on a circle of the given area, the rest inside."""
    inner = np.setdiff1d(np.arange(len(laplacian)), border)
    angle = np.pi / 2 - 2 * np.pi * np.arange(len(border)) / len(border)
    position = np.zeros((len(laplacian), 2))
    position[border] = np.sqrt(area / np.pi) * np.column_stack([np.cos(angle), np.sin(angle)])
    position[inner] = np.linalg.solve(
        laplacian[np.ix_(inner, inner)], -laplacian[np.ix_(inner, border)] @ position[border]
    )
    return position


def _dirichlet(
    position: Points2, triangles: Triangles, from_flat: NDArray[np.float64], area: NDArray[np.float64]
) -> tuple[float, Points2]:
    """Return the symmetric Dirichlet energy, infinite if a triangle is flipped, and its gradient (V, 2)."""
    corners = position[triangles]
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=2)
    jacobian = edges @ from_flat
    determinant = np.linalg.det(jacobian)
    if determinant.min() <= 0:
        return np.inf, np.zeros_like(position)
    norm = (jacobian**2).sum(axis=(1, 2))
    energy = float(area @ (norm * (1 + determinant**-2)))
    cofactor = np.empty_like(jacobian)
    cofactor[:, 0, 0], cofactor[:, 0, 1] = jacobian[:, 1, 1], -jacobian[:, 1, 0]
    cofactor[:, 1, 0], cofactor[:, 1, 1] = -jacobian[:, 0, 1], jacobian[:, 0, 0]
    by_jacobian = 2 * jacobian * (1 + determinant**-2)[:, None, None]
    by_jacobian -= (2 * norm * determinant**-3)[:, None, None] * cofactor
    by_edges = area[:, None, None] * (by_jacobian @ from_flat.transpose(0, 2, 1))
    gradient = np.zeros_like(position)
    np.add.at(gradient, triangles[:, 1], by_edges[:, :, 0])
    np.add.at(gradient, triangles[:, 2], by_edges[:, :, 1])
    np.add.at(gradient, triangles[:, 0], -by_edges.sum(axis=2))
    return energy, gradient


def _fitted(position: Points2, mirror: NDArray[np.int64], border: NDArray[np.int64]) -> Points2:
    """Make a layout bit-exactly symmetric, and stretch it to the unit square minus the margin."""
    image = position[mirror] * (-1.0, 1.0)
    quarter = len(border) // 4
    if position[border[quarter], 0] <= position[border[-quarter], 0]:
        raise ValueError("the layout must be upright")
    centred = (position + image) / 2
    half = np.abs(centred[:, 0]).max()
    low, high = centred[:, 1].min(), centred[:, 1].max()
    room = 1.0 - 2 * _UV_MARGIN
    sideways = np.floor(centred[:, 0] / half * (room / 2) / _UV_STEP) * _UV_STEP
    # floor() rounds positive and negative numbers differently, so copy one side to the other.
    left = sideways > 0
    sideways[left] = -sideways[mirror[left]]
    sideways[mirror == np.arange(len(mirror))] = 0.0
    upward = np.round((_UV_MARGIN + (centred[:, 1] - low) / (high - low) * room) / _UV_STEP) * _UV_STEP
    # Heights of the two halves can differ in the last bit before rounding.
    upward = np.minimum(upward, upward[mirror])
    return np.column_stack([0.5 + np.clip(sideways, -room / 2, room / 2), upward])
