"""Recognition of people by their coefficients, and the stability of the coefficients."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps

from benchmarks.accuracy.people import Floats, observe, say, true_shape
from emulator.face import identity
from emulator.face.fit import HeadFit, fit_head
from emulator.face.identity import standardized
from emulator.face.landmarks import SURFACE_COUNT
from emulator.face.types import Image, Points3
from emulator.pipelines.core import detector
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.reconstruct import CROPS


def stability_table(people: Sequence[int]) -> None:
    """Print how much the coefficients change if a picture is compressed, shrunk, cropped or mirrored."""
    plain = {}
    for person in people:
        landmarks = observe(person, 8).landmarks
        if landmarks is not None:
            plain[person] = standardized(fit_head(landmarks).identity_coefficients)
    people_apart = _distances(np.array(list(plain.values())))[np.triu_indices(len(plain), 1)].mean()
    say("Stability: change of the 80 numbers, % of the mean distance between two people")
    changes: tuple[tuple[str, Callable[[Image], Image]], ...] = (
        ("JPEG of quality 70", partial(reencoded, quality=70)),
        ("shrunk to 0.7", partial(_shrunk, factor=0.7)),
        ("cropped by 3 to 8 %", _cropped),
        ("mirrored", _mirrored),
    )
    for name, change in changes:
        moved = []
        for person, before in plain.items():
            found = detector().detect(change(observe(person, 8).synthetic.image), crops=CROPS)
            if len(found) == 1:
                after = standardized(fit_head(found[0].landmarks).identity_coefficients)
                after = identity.mirrored(after) if name == "mirrored" else after
                moved.append(100 * float(np.linalg.norm(after - before)) / people_apart)
        mean, median, worst = np.mean(moved), np.median(moved), max(moved)
        say(f"{name:>22} mean {mean:5.1f} %   median {median:5.1f} %   worst {worst:5.1f} %")


def people_table(people: Sequence[int]) -> None:
    """Print how well synthetic people are distinguished across poses and expressions."""
    found, names = [], []
    for person in people:
        rng = np.random.default_rng([person, 5])
        for yaw in rng.uniform(-30, 30, 4):
            landmarks = observe(person, float(yaw), with_expression=True).landmarks
            if landmarks is not None:
                found.append(fit_head(landmarks))
                names.append(str(person))
    say("Same person or another: synthetic people with different poses and expressions")
    _recognition(found, names)


def photo_table(folder: Path) -> None:
    """Print how well photographed people are distinguished; ``folder`` has one folder per person."""
    found, names = [], []
    for path in sorted(folder.glob("*/*")):
        with PillowImage.open(path) as opened:
            image = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        faces = detector().detect(image, crops=CROPS)
        if not faces:
            say(f"no face in {path}")
            continue
        found.append(fit_head(faces[0].landmarks))
        names.append(path.parent.name)
    say("Same person or another: photographs (the largest face of each)")
    _recognition(found, names)
    coefficients = np.array([fit.identity_coefficients for fit in found])
    measured, chance, units = photographed_deviations(coefficients, len(set(names)))
    say("Standard deviations of the first 16 coefficients, before and after the removal of chance")
    for name, values in (("measured", measured), (f"{chance:.0%} nearer to the mean", units[:16])):
        say(f"{name:>26} {' '.join(f'{each:.2f}' for each in values)}")


def photographed_deviations(coefficients: Floats, people: int) -> tuple[Floats, float, Floats]:
    """Return the standard deviations from which `identity.standardized` takes its units.

    The standard deviations that are measured with few people differ by chance. The variance of a standard
    deviation s over n people is s² / (2 (n - 1)). Its share of the variance between the 16 standard
    deviations is chance, so the 16 are moved towards their mean by this share. The mean is the unit of the
    other 64 coefficients.

    Parameters
    ----------
    coefficients : (N, 80) float64
        Those that are fitted to N photographs.
    people : int
        Number of people in the photographs, at least 2.

    Returns
    -------
    measured : (16,) float64
        The standard deviations of the first 16 coefficients.
    chance : float
        The share of their differences that is chance, 0 to 1.
    units : (80,) float64
    """
    measured: Floats = coefficients[:, :16].std(axis=0)
    mean = measured.mean()
    expected = mean**2 / (2 * (people - 1))
    chance = float(min(1.0, expected / max(measured.var(ddof=1), 1e-12)))
    units = np.full(coefficients.shape[1], mean)
    units[:16] = measured + chance * (mean - measured)
    return measured, chance, units


def _recognition(fits: Sequence[HeadFit], names: Sequence[str]) -> None:
    numbers = np.array([standardized(fit.identity_coefficients) for fit in fits])
    one, other = np.triu_indices(len(names), 1)
    same = np.array(names)[one] == np.array(names)[other]
    landmarks = np.array([fit.landmarks_cm.ravel() for fit in fits])
    unit = numbers / np.linalg.norm(numbers, axis=1, keepdims=True)
    rows = (
        ("80 numbers, Euclidean", -_distances(numbers)[one, other]),
        ("80 numbers, cosine", (unit @ unit.T)[one, other]),
        ("landmarks in model space", -_distances(landmarks)[one, other]),
    )
    for name, score in rows:
        say(f"{name:>26} ROC AUC {_auc(score[same], score[~same]):.3f}")
    spread = numbers.std(axis=0)
    say(f"{'standard deviations':>26} of the first 16: {' '.join(f'{each:.2f}' for each in spread[:16])}")
    say(
        f"{'80 numbers':>26} {numbers.min():.2f}..{numbers.max():.2f}, standard deviations of the other 64 "
        f"{spread[16:].min():.2f}..{spread[16:].max():.2f}, median {np.median(spread[16:]):.2f}; "
        f"{same.sum()} pairs of the same person, {(~same).sum()} of different people"
    )


def _auc(same: Floats, other: Floats) -> float:
    return float((same[:, None] > other[None]).mean() + 0.5 * (same[:, None] == other[None]).mean())


def _distances(points: Floats) -> Floats:
    return np.asarray(np.linalg.norm(points[:, None] - points[None], axis=2))


def reencoded(image: Image, quality: int) -> Image:
    """Return a picture after JPEG compression."""
    with PillowImage.open(io.BytesIO(encode_jpeg(image, quality=quality))) as opened:
        return np.asarray(opened.convert("RGB"))


def _shrunk(image: Image, factor: float) -> Image:
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _cropped(image: Image) -> Image:
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[height // 20 :, width // 12 : width - width // 33])


def _mirrored(image: Image) -> Image:
    return np.ascontiguousarray(image[:, ::-1])


def perspective_table(people: Sequence[int]) -> None:
    """Print how much a near camera changes the coefficients that are fitted to the true landmarks."""
    rows = []
    heads = [true_shape(person) for person in people]
    far = np.array([standardized(fit_head(_seen_from(head, np.inf)).identity_coefficients) for head in heads])
    apart = _distances(far)[np.triu_indices(len(far), 1)].mean()
    say("Perspective: change of the 80 numbers, % of the mean distance between two people")
    for distance_cm in (30.0, 50.0, 80.0, 150.0):
        near = np.array(
            [standardized(fit_head(_seen_from(head, distance_cm)).identity_coefficients) for head in heads]
        )
        rows.append(100 * np.linalg.norm(near - far, axis=1).mean() / apart)
        say(f"{distance_cm:9.0f} cm {rows[-1]:6.1f} %")


def _seen_from(head: Points3, distance_cm: float) -> Points3:
    """Return landmarks (478, 3) of a head with its origin ``distance_cm`` in front of a pinhole camera."""
    larger = 1.0 / (1.0 - head[:, 2] / distance_cm)
    landmarks = np.zeros((478, 3))
    landmarks[:SURFACE_COUNT] = head * larger[:, None] * (20.0, -20.0, -20.0)
    return landmarks
