"""Harmonics (eigenvectors of the mesh's graph Laplacian), and the variation of faces along them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.face.landmarks import MIRROR, SURFACE_COUNT
from emulator.face.types import Matrix, Triangles

HARMONIC_COUNT = 60


def graph_laplacian(triangles: Triangles, count: int) -> Matrix:
    """Return the Laplacian (``count``, ``count``) of the triangles' edges, with equal weights."""
    laplacian = np.zeros((count, count))
    for first, second in ((0, 1), (1, 2), (2, 0)):
        laplacian[triangles[:, first], triangles[:, second]] = -1.0
        laplacian[triangles[:, second], triangles[:, first]] = -1.0
    np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
    return laplacian


def harmonics(triangles: Triangles) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smoothest functions on the mesh, each exactly even or odd under reflection.

    They are the eigenvectors of the graph Laplacian (B. Vallet and B. Levy 2008,
    doi:10.1111/j.1467-8659.2008.01122.x), computed separately for even and odd functions. All edges
    have equal weight. So the harmonics have more detail where the landmarks are dense, which is where
    faces have detail. The constant function is left out. The largest entry of each function is positive.

    Returns
    -------
    functions : (HARMONIC_COUNT, V) float64
        Orthonormal, from the coarsest to the finest.
    frequencies : (HARMONIC_COUNT,) float64
        Eigenvalues of ``functions``.
    """
    laplacian = graph_laplacian(triangles, SURFACE_COUNT)
    mirror = np.array(MIRROR[:SURFACE_COUNT])
    pairs = [(index, int(image)) for index, image in enumerate(mirror) if index < image]
    middle = [index for index, image in enumerate(mirror) if index == image]
    found: list[tuple[float, int, NDArray[np.float64]]] = []
    for parity in (1, -1):
        basis = np.zeros((len(pairs) + (len(middle) if parity > 0 else 0), SURFACE_COUNT))
        for row, (index, image) in enumerate(pairs):
            basis[row, index], basis[row, image] = np.sqrt(0.5), parity * np.sqrt(0.5)
        if parity > 0:
            basis[np.arange(len(pairs), len(basis)), middle] = 1.0
        values, vectors = np.linalg.eigh(basis @ laplacian @ basis.T)
        for value, vector in zip(values, vectors.T, strict=True):
            # The reduced basis copies each number to both sides, so the parity is exact.
            function = vector @ basis
            if value > 1e-9:
                sign = np.sign(function[np.argmax(np.abs(function).round(9))])
                found.append((float(value), parity, function * sign))
    found.sort(key=lambda entry: (entry[0], entry[1]))
    found = found[:HARMONIC_COUNT]
    return np.array([entry[2] for entry in found]), np.array([entry[0] for entry in found])


def deviation_law(
    heads: NDArray[np.float64],
    functions: NDArray[np.float64],
    frequencies: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return ``a`` and ``b`` (2,): along a harmonic, faces deviate by about ``a * frequency ** -b`` cm.

    A line is fitted to the logarithms of the deviations along all harmonics, because there are too few faces
    to measure the deviation along a single harmonic.

    Parameters
    ----------
    heads : (N, V, 3)
        In model space, in centimetres.
    """
    deviations = heads - heads.mean(axis=0)
    coefficients = np.einsum("hv,nvc->hnc", functions, deviations)
    spread = np.sqrt((coefficients**2).mean(axis=(1, 2)))
    slope, offset = np.polyfit(np.log(frequencies), np.log(spread), 1)
    return np.array([np.exp(offset), -slope])
