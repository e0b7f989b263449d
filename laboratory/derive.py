"""Derives the canonical mesh from photographs: ``python -m laboratory.derive PHOTO...``.

Writes ``emulator/face/data/canonical_mesh.npz``. The steps are in the modules ``triangulation``,
``heads``, ``extension``, ``layout`` and ``harmonics``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps

from emulator.face.canonical import Region
from emulator.face.detection import FaceDetector, MediaPipeDetector
from emulator.face.landmarks import FACE_OVAL, MIRROR, SURFACE_COUNT
from emulator.face.mediapipe_models import face_mesh_edges
from emulator.face.mesh import boundary_edges
from emulator.face.types import Image
from laboratory import DATA
from laboratory.extension import extension_triangles, symmetric_extension
from laboratory.harmonics import deviation_law, harmonics
from laboratory.heads import (
    aligned_heads,
    in_model_space,
    lip_gap,
    mouth_opening,
    observed_heads,
    symmetrised,
    with_lips_touching,
)
from laboratory.layout import layout
from laboratory.triangulation import filling_triangles, reflection, surface_triangles, symmetric_triangles


def derive(photos: Sequence[Image], detector: FaceDetector) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of ``canonical_mesh.npz`` by name.

    Raises
    ------
    ValueError
        If ``photos`` show no face, or the topology does not match the ``landmarks`` module.
    """
    surface = surface_triangles(face_mesh_edges())
    skin = symmetric_triangles(surface)
    if reflection(skin) != dict(enumerate(MIRROR[:SURFACE_COUNT])):
        raise ValueError("landmarks.MIRROR is not the reflection of this topology")
    skin.sort()
    filling, filling_regions = filling_triangles()
    triangles = np.array(skin + filling, np.int32)
    regions = np.array([Region.SKIN] * len(skin) + filling_regions, np.uint8)
    if len(boundary_edges(triangles)) != len(FACE_OVAL):
        raise ValueError("the face oval must be the only border")

    heads = aligned_heads(observed_heads(photos, detector))
    gap, slope = mouth_opening(heads)
    neutral_heads = heads - gap[:, None, None] * slope
    neutral = neutral_heads.mean(axis=0)
    opening = symmetrised(in_model_space(neutral + slope, neutral) - in_model_space(neutral, neutral))
    # Closing the mouth slightly changes the upright direction, and therefore the gap between the lips. Scale
    # the opening, so that the gap is 1 cm again.
    opening /= lip_gap(opening)
    neutral = symmetrised(in_model_space(neutral, neutral))[:SURFACE_COUNT]
    vertices = symmetrised(with_lips_touching(neutral))
    around = np.array(extension_triangles(), np.int32)
    beyond = symmetric_extension(vertices, triangles)
    uv = layout(vertices, opening[:SURFACE_COUNT], triangles, beyond, around)
    functions, frequencies = harmonics(triangles)
    return {
        "vertices": vertices,
        "triangles": triangles.astype(np.int16),
        "regions": regions,
        "extension": beyond,
        "extension_triangles": around.astype(np.int16),
        "uv": uv,
        "mouth_opening": opening[:SURFACE_COUNT].astype(np.float32),
        "harmonics": functions.astype(np.float32),
        "frequencies": frequencies,
        "deviation_law": deviation_law(neutral_heads[:, :SURFACE_COUNT], functions, frequencies),
    }


def main(paths: Sequence[str]) -> None:
    """Derive the mesh from the photos at ``paths`` and write the data file."""
    photos = []
    for path in paths:
        with PillowImage.open(path) as photo:
            photos.append(np.asarray(ImageOps.exif_transpose(photo).convert("RGB")))
    arrays = derive(photos, MediaPipeDetector())
    np.savez_compressed(DATA / "canonical_mesh.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
