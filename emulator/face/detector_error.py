"""How the landmark detector errs on faces, measured on drawn ones whose landmarks are known.

``python -m emulator.face.detector_error`` measures it again and writes
``emulator/face/data/detector_error.npz``. Nothing else in the package needs that part.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_mesh
from emulator.face.identity import mirrored_field, similarity_fields
from emulator.face.landmarks import SURFACE_COUNT
from emulator.face.pose import Pose, pose_from_rotation, similarity_transform
from emulator.face.types import Points3

_FIELD_COUNT = 40

# Poses are measured in these, so that a face turned as photographs show it is about one unit away.
_YAW_UNIT_DEG, _PITCH_UNIT_DEG = 30.0, 15.0


@cache
def detector_error() -> NDArray[np.float64]:
    """Return fields (F, 468, 3), cm, read-only: directions in which detected landmarks err.

    A standard deviation each, independent of one another: first how drawn faces are seen otherwise
    than photographed ones, and how that depends on the pose; then the principal components of what
    is left. Each is its own mirror image or the negative of it.
    """
    with (
        resources.files("emulator.face").joinpath("data/detector_error.npz").open("rb") as stream,
        np.load(stream, allow_pickle=False) as stored,
    ):
        fields = stored["fields"].astype(np.float64)
    fields.flags.writeable = False
    return np.asarray(fields)


def error_fields(errors: NDArray[np.float64], poses: Sequence[Pose]) -> NDArray[np.float64]:
    """Return what ``detector_error`` stores: (6 + 40, 468, 3).

    Regression on yaw and pitch up to the second order, then principal components of the rest, among
    fields that are even and odd under the mirror image apart.

    Parameters
    ----------
    errors : (N, 468, 3) float64
        Detected landmarks less true ones, in model space, cm.
    poses : sequence of Pose
        As detected.
    """
    vertices = canonical_mesh().vertices
    similarity = similarity_fields(vertices).reshape(7, -1)
    flat = errors.reshape(len(errors), -1)
    flat = flat - flat @ similarity.T @ similarity
    yaw = np.array([pose.yaw for pose in poses]) / _YAW_UNIT_DEG
    pitch = np.array([pose.pitch for pose in poses]) / _PITCH_UNIT_DEG
    mirrored = np.array([mirrored_field(error) for error in flat.reshape(errors.shape)])
    fields: list[Points3] = []
    components: list[tuple[float, Points3]] = []
    # What the mirror keeps depends on even powers of the yaw, what it turns round on odd ones.
    for parity, powers in (
        (1.0, (np.ones_like(yaw), pitch, yaw**2, pitch**2)),
        (-1.0, (yaw, yaw * pitch)),
    ):
        half = (flat + parity * mirrored.reshape(flat.shape)) / 2
        design = np.stack(powers, axis=1)
        slopes = np.linalg.lstsq(design, half, rcond=None)[0]
        fields += list(slopes.reshape(-1, SURFACE_COUNT, 3))
        _, spread, directions = np.linalg.svd(half - design @ slopes, full_matrices=False)
        components += [
            (float(size), direction.reshape(SURFACE_COUNT, 3) * size / np.sqrt(len(errors)))
            for size, direction in zip(spread[:_FIELD_COUNT], directions, strict=False)
        ]
    components.sort(key=lambda component: -component[0])
    fields += [field for _, field in components[:_FIELD_COUNT]]
    return np.array(
        [
            (field + np.sign(np.vdot(field, mirrored_field(field))) * mirrored_field(field)) / 2
            for field in fields
        ]
    )


def measure(seeds: Sequence[int]) -> NDArray[np.float64]:
    """Return ``error_fields`` of drawn people, three pictures of each: to the right, straight, left."""
    from emulator.face.detection import MediaPipeDetector  # noqa: PLC0415 - only who measures detects
    from emulator.face.fit import landmark_weights  # noqa: PLC0415 - it reads what is measured here
    from emulator.face.identity import IDENTITY_COUNT, mesh  # noqa: PLC0415 - as above
    from emulator.face.synthetic import SyntheticFaceSpec, render_face  # noqa: PLC0415 - as above

    detector = MediaPipeDetector()
    errors, poses = [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        somebody = np.clip(rng.standard_normal(IDENTITY_COUNT), -2.5, 2.5)
        head = mesh(somebody).vertices
        for view, yaw in enumerate((-rng.uniform(8, 35), rng.uniform(-8, 8), rng.uniform(8, 35))):
            spec = SyntheticFaceSpec(
                seed=10 * seed + view,
                identity_coefficients=tuple(somebody),
                yaw=yaw,
                pitch=rng.uniform(-12, 12),
                roll=rng.uniform(-12, 12),
                width=440,
                height=440,
                face_fraction=rng.uniform(0.35, 0.55),
            )
            found = detector.detect(render_face(spec).image)
            if len(found) != 1:
                continue
            observed = found[0].landmarks[:SURFACE_COUNT] * (1.0, -1.0, -1.0)
            scale, rotation, translation = similarity_transform(head, observed, landmark_weights())
            errors.append((observed - translation) @ rotation / scale - head)
            poses.append(pose_from_rotation(rotation))
    return error_fields(np.array(errors), poses)


def main() -> None:
    """Measure, and write the package's data file."""
    fields = measure(range(20_000, 20_150))
    target = Path(__file__).parent / "data" / "detector_error.npz"
    with target.open("wb") as stream:
        np.savez_compressed(stream, fields=fields.astype(np.float32))


if __name__ == "__main__":
    main()
