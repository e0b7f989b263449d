"""Cotangent weights of a triangle mesh, from which its Laplacian is made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from emulator.face.types import Points3, Triangles

# Weights of edges are limited to this range, because thin and obtuse triangles have huge or negative ones.
_LEAST_WEIGHT, _MOST_WEIGHT = 0.02, 5.0


def cotangent_weights(
    vertices: Points3, triangles: Triangles
) -> tuple[sparse.csr_array, NDArray[np.float64]]:
    """Return the symmetric weights (V, V) of edges, and the area (V,) of each vertex, in squared units.

    Cotangent weights (U. Pinkall and K. Polthier 1993, doi:10.1080/10586458.1993.10504266), limited to
    positive values. Each triangle adds a third of its area to each of its corners.
    """
    count = len(vertices)
    weights, area = sparse.csr_array((count, count)), np.zeros(count)
    for corner in range(3):
        a, b, c = triangles[:, [corner, (corner + 1) % 3, (corner + 2) % 3]].T
        one, other = vertices[a] - vertices[c], vertices[b] - vertices[c]
        twice_area = np.linalg.norm(np.cross(one, other), axis=1)
        weight = (one * other).sum(axis=1) / np.maximum(twice_area, 1e-9) / 2
        entries = np.clip(weight, _LEAST_WEIGHT, _MOST_WEIGHT), (a, b)
        weights = weights + sparse.csr_array(sparse.coo_array(entries, shape=(count, count)))
        np.add.at(area, a, twice_area / 6)
    return sparse.csr_array(weights + weights.T), area
