"""How true the head model is: on drawn people whose shape is known, and on photographs.

``python -m benchmarks.accuracy`` prints every table; ``--people 10`` is quicker, ``--only cost`` prints
one table. ``--photos FOLDER`` prints instead how well one folder a person of photographs is told apart.
The people are drawn from seeds that nothing was tuned on. The table of costs means one core where
``OMP_NUM_THREADS`` and ``OPENBLAS_NUM_THREADS`` are 1, as `make accuracy` sets them.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps
from skimage import data as photographs
from skimage.util import img_as_ubyte

from emulator.face import identity
from emulator.face.attributes import face_attributes
from emulator.face.canonical import canonical_mesh
from emulator.face.detection import MediaPipeDetector
from emulator.face.fit import HeadFit, camera_on, fit_head, fit_views, observed_shape
from emulator.face.head import head_mesh, skin_places
from emulator.face.landmarks import LEFT_EYE_OUTER_CORNER, RIGHT_EYE_OUTER_CORNER, SURFACE_COUNT
from emulator.face.mesh import vertex_normals
from emulator.face.obj import write_obj
from emulator.face.pose import similarity_transform
from emulator.face.synthetic import Expression, SyntheticFace, SyntheticFaceSpec, render_face
from emulator.face.texture import TextureView, bake_texture
from emulator.face.types import Image, Points3
from emulator.pipelines.core import detector, silenced_stderr
from emulator.pipelines.images import encode_jpeg, encode_png
from emulator.pipelines.reconstruct import (
    LOOKS,
    DescriptionOptions,
    WavefrontOptions,
    describe_head,
    reconstruct_wavefront,
)
from emulator.pipelines.rules import ImageRules
from emulator.vendors.faceplusplus.wire import transfer_matrix

Floats = NDArray[np.float64]

FIRST_SEED = 900_000
YAWS = (-30, -15, 0, 15, 30)
MILLIMETRES = 10.0
JPEG = ImageRules(frozenset({"jpeg"}))


def say(line: str = "") -> None:
    """Print a line at once: some tables take minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# --- The people -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sight:
    """A picture of a drawn person, and what was detected in it."""

    drawn: SyntheticFace
    landmarks: Points3 | None


@cache
def look_at(person: int, yaw: float, *, acting: bool = False, looks: int = LOOKS) -> Sight:
    """Return a drawn person's picture; pitch, roll, light and expression come from person and yaw."""
    rng = np.random.default_rng([person, round(yaw * 10) + 900, acting])
    expression = Expression()
    if acting:
        smile, open_mouth, lids, brows = rng.random(4) * (rng.random(4) < 0.5)
        expression = Expression(smile, 0.6 * open_mouth, 0.5 * lids, brows)
    drawn = render_face(
        SyntheticFaceSpec(
            seed=FIRST_SEED + person,
            yaw=yaw,
            pitch=rng.uniform(-10, 10),
            roll=rng.uniform(-10, 10),
            expression=expression,
            width=480,
            height=480,
        )
    )
    found = detector().detect(drawn.image, looks=looks)
    return Sight(drawn, found[0].landmarks if len(found) == 1 else None)


def true_shape(person: int) -> Points3:
    """Return a drawn person's vertices (468, 3), cm, at rest."""
    return identity.mesh(look_at(person, 0).drawn.identity_coefficients).vertices


def eye_distance(landmarks: Points3) -> float:
    """Return the distance between the outer corners of the eyes in the picture."""
    return float(np.linalg.norm(landmarks[RIGHT_EYE_OUTER_CORNER, :2] - landmarks[LEFT_EYE_OUTER_CORNER, :2]))


def shape_error_mm(shape: Points3, truth: Points3) -> float:
    """Return the mean distance of two heads' vertices, brought together by a similarity, in millimetres."""
    scale, rotation, translation = similarity_transform(shape, truth)
    moved = scale * shape @ rotation.T + translation
    return float(np.linalg.norm(moved - truth, axis=1).mean()) * MILLIMETRES


def correlation(one: Floats, other: Floats) -> float:
    """Return Pearson's correlation."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


# --- Tables -----------------------------------------------------------------------------------


def shape_table(people: Sequence[int]) -> None:
    """Print landmark error, identity recovery and shape error by yaw, and what three views add."""
    deviations = identity.identity_modes().deviations_cm
    say(f"Shape, {len(people)} drawn people at rest; pitch and roll -10..10 degrees")
    say(
        f"{'yaw':>12} {'landmarks':>10} {'identity':>9} {'(by size)':>9} {'shape mm:':>10} "
        f"{'mean head':>9} {'MediaPipe':>9} {'80 numbers':>10} {'delivered':>9}"
    )
    for yaw in YAWS:
        _shape_row(f"{yaw:+d}", people, (yaw,), deviations)
    _shape_row("-25, 0, +25", people, (-25, 0, 25), deviations)


def _shape_row(name: str, people: Sequence[int], yaws: Sequence[float], deviations: Floats) -> None:
    landmark, errors, true, found = [], [], [], []
    for person in people:
        sights = [look_at(person, yaw) for yaw in yaws]
        seen = [(sight.drawn, sight.landmarks) for sight in sights if sight.landmarks is not None]
        if len(seen) < len(yaws):
            continue
        truth = true_shape(person)
        fits = fit_views([landmarks for _, landmarks in seen])
        raw = np.mean([fit.landmarks_cm for fit in fits], axis=0)
        for drawn, landmarks in seen:
            off = np.linalg.norm(landmarks[:SURFACE_COUNT, :2] - drawn.landmarks[:, :2], axis=1)
            landmark.append(100 * off.mean() / eye_distance(drawn.landmarks))
        shapes = (canonical_mesh().vertices, raw, fits[0].mesh.vertices, observed_shape(fits))
        errors.append([shape_error_mm(shape, truth) for shape in shapes])
        true.append(seen[0][0].identity_coefficients)
        found.append(fits[0].identity_coefficients)
    mean, mediapipe, ours, delivered = np.mean(errors, axis=0)
    coefficients, recovered = np.array(true), np.array(found)
    say(
        f"{name:>12} {np.mean(landmark):9.2f}% {correlation(coefficients, recovered):9.3f} "
        f"{correlation(coefficients * deviations, recovered * deviations):9.3f} {'':>10} "
        f"{mean:9.2f} {mediapipe:9.2f} {ours:10.2f} {delivered:9.2f}"
        f"   ({ours / mean:.0%} of the mean head's, {len(errors)} of {len(people)} found)"
    )


def views_table(people: Sequence[int]) -> None:
    """Print what two more views of a person add to one, person by person."""
    one: list[list[float]] = []
    three: list[list[float]] = []
    for person in people:
        seen = [look_at(person, yaw).landmarks for yaw in (0, -25, 25)]
        if any(landmarks is None for landmarks in seen):
            continue
        views = [landmarks for landmarks in seen if landmarks is not None]
        truth = true_shape(person)
        for errors, fits in ((one, fit_views(views[:1])), (three, fit_views(views))):
            shapes = (fits[0].mesh.vertices, observed_shape(fits))
            errors.append([shape_error_mm(shape, truth) for shape in shapes])
    say("Three views (-25, 0, +25) against the one from the front, the same people: shape error, mm")
    for column, name in enumerate(("80 numbers", "delivered")):
        first, all_three = np.array(one)[:, column], np.array(three)[:, column]
        gain = first - all_three
        say(
            f"{name:>12} one {first.mean():.2f}   three {all_three.mean():.2f}   by {gain.mean():.2f} less "
            f"(standard error {gain.std() / np.sqrt(len(gain)):.2f}), for {(gain > 0).mean():.0%} of people"
        )


def matrix_table(people: Sequence[int]) -> None:
    """Print how near the OBJ's vertices, carried by transfer_matrix, come to the landmarks."""
    say("transfer_matrix: median distance of projected OBJ vertices, % of the eye distance")
    say(f"{'photos':>12} {'from detected':>14} {'from true':>10}")
    options = WavefrontOptions(JPEG, 64, 10.0, "face.mtl", "tex.jpg")
    for name, yaws in (("one", (0,)), ("one, turned", (25,)), ("three", (0, -25, 25))):
        detected: list[float] = []
        true: list[float] = []
        for person in people:
            sights = [look_at(person, yaw) for yaw in yaws]
            if any(sight.landmarks is None for sight in sights):
                continue
            photos = [encode_jpeg(sight.drawn.image, quality=95) for sight in sights]
            head = reconstruct_wavefront(photos, options)
            lines = [line.split()[1:] for line in head.obj.splitlines() if line.startswith("v ")]
            vertices = np.array(lines, np.float64)[:SURFACE_COUNT]
            for view, sight in zip(head.views, sights, strict=True):
                x, y, _, _ = transfer_matrix(view) @ np.column_stack([vertices, np.ones(SURFACE_COUNT)]).T
                pixels = np.column_stack([view.width / 2 + x, view.height / 2 - y]) - 0.5
                size = eye_distance(sight.drawn.landmarks)
                for goal, errors in ((sight.landmarks, detected), (sight.drawn.landmarks, true)):
                    if goal is not None:
                        off = np.linalg.norm(pixels - goal[:SURFACE_COUNT, :2], axis=1)
                        errors.append(100 * float(np.median(off)) / size)
        say(f"{name:>12} {np.mean(detected):13.2f}% {np.mean(true):9.2f}%")


def stability_table(people: Sequence[int]) -> None:
    """Print how far coefficients move when a picture is processed, next to how far people are apart."""
    plain = {}
    for person in people:
        landmarks = look_at(person, 8).landmarks
        if landmarks is not None:
            plain[person] = fit_head(landmarks).identity_coefficients
    people_apart = _distances(np.array(list(plain.values())))[np.triu_indices(len(plain), 1)].mean()
    say("Stability: how far coefficients move, % of the mean distance between two people")
    changes: tuple[tuple[str, Callable[[Image], Image]], ...] = (
        ("JPEG of quality 70", partial(_reencoded, quality=70)),
        ("shrunk to 0.7", partial(_shrunk, factor=0.7)),
        ("cropped by 3 to 8 %", _cropped),
        ("mirrored", _mirrored),
    )
    for name, change in changes:
        moved = []
        for person, before in plain.items():
            found = detector().detect(change(look_at(person, 8).drawn.image), looks=LOOKS)
            if len(found) == 1:
                after = fit_head(found[0].landmarks).identity_coefficients
                after = identity.mirrored(after) if name == "mirrored" else after
                moved.append(100 * float(np.linalg.norm(after - before)) / people_apart)
        mean, median, worst = np.mean(moved), np.median(moved), max(moved)
        say(f"{name:>22} mean {mean:5.1f} %   median {median:5.1f} %   worst {worst:5.1f} %")


def people_table(people: Sequence[int]) -> None:
    """Print how well drawn people are told apart whatever their pose and expression."""
    found, names = [], []
    for person in people:
        rng = np.random.default_rng([person, 5])
        for yaw in rng.uniform(-30, 30, 4):
            landmarks = look_at(person, float(yaw), acting=True).landmarks
            if landmarks is not None:
                found.append(fit_head(landmarks))
                names.append(str(person))
    say("Same person or another, drawn, other poses and expressions")
    _recognition(found, names)


def photo_table(folder: Path) -> None:
    """Print how well photographed people are told apart: one folder a person."""
    found, names = [], []
    for path in sorted(folder.glob("*/*")):
        with PillowImage.open(path) as opened:
            image = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        faces = detector().detect(image, looks=LOOKS)
        if not faces:
            say(f"no face in {path}")
            continue
        found.append(fit_head(faces[0].landmarks))
        names.append(path.parent.name)
    say("Same person or another, photographs; of several faces the largest is taken")
    _recognition(found, names)


def _recognition(fits: Sequence[HeadFit], names: Sequence[str]) -> None:
    coefficients = np.array([fit.identity_coefficients for fit in fits])
    one, other = np.triu_indices(len(names), 1)
    same = np.array(names)[one] == np.array(names)[other]
    weights = [np.concatenate([fit.landmarks_cm.ravel()]) for fit in fits]
    unit = coefficients / np.linalg.norm(coefficients, axis=1, keepdims=True)
    rows = (
        ("coefficients, Euclidean", -_distances(coefficients)[one, other]),
        ("coefficients, cosine", (unit @ unit.T)[one, other]),
        ("landmarks in model space", -_distances(np.array(weights))[one, other]),
    )
    for name, score in rows:
        say(f"{name:>26} ROC AUC {_auc(score[same], score[~same]):.3f}")
    spread = coefficients.std(axis=0)
    say(
        f"{'coefficients':>26} {coefficients.min():.2f}..{coefficients.max():.2f}, standard deviations "
        f"{spread.min():.2f}..{spread.max():.2f}, median {np.median(spread):.2f}, means "
        f"{np.abs(coefficients.mean(axis=0)).max():.2f} at most; "
        f"{same.sum()} pairs of one person, {(~same).sum()} of two"
    )


def _auc(same: Floats, other: Floats) -> float:
    return float((same[:, None] > other[None]).mean() + 0.5 * (same[:, None] == other[None]).mean())


def _distances(points: Floats) -> Floats:
    return np.asarray(np.linalg.norm(points[:, None] - points[None], axis=2))


def _reencoded(image: Image, quality: int) -> Image:
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
    """Print what a near camera does to the coefficients: true landmarks, seen from so far away."""
    rows = []
    heads = [true_shape(person) for person in people]
    far = np.array([fit_head(_seen_from(head, np.inf)).identity_coefficients for head in heads])
    apart = _distances(far)[np.triu_indices(len(far), 1)].mean()
    say("Perspective: how far coefficients move, % of the mean distance between two people")
    for distance_cm in (30.0, 50.0, 80.0, 150.0):
        near = np.array([fit_head(_seen_from(head, distance_cm)).identity_coefficients for head in heads])
        rows.append(100 * np.linalg.norm(near - far, axis=1).mean() / apart)
        say(f"{distance_cm:9.0f} cm {rows[-1]:6.1f} %")


def _seen_from(head: Points3, distance_cm: float) -> Points3:
    """Return landmarks (478, 3) of a head whose middle is ``distance_cm`` before a pinhole."""
    larger = 1.0 / (1.0 - head[:, 2] / distance_cm)
    landmarks = np.zeros((478, 3))
    landmarks[:SURFACE_COUNT] = head * larger[:, None] * (20.0, -20.0, -20.0)
    return landmarks


def detection_table(people: Sequence[int]) -> None:
    """Print how many faces are found by size, pose and light, and in pictures without one."""
    say("Detection: pictures of one person, angles -30..30, in which exactly one face is found")
    say(f"{'of the width':>24} {'as drawn':>10} {'at 1/4 of the light':>20}")
    for fraction in (0.05, 0.08, 0.15, 0.4):
        _detection_row(f"{fraction:.0%}", people, fraction)
    _detection_row("5%, the darkest skins", people, 0.05, darkest=True)
    pictures = list(_without_faces())
    wrong = sum(bool(detector().detect(picture)) for picture in pictures)
    say(f"{'':>9} pictures without a face: {wrong} of {len(pictures)} show one")


def _detection_row(name: str, people: Sequence[int], fraction: float, *, darkest: bool = False) -> None:
    found, dim = 0, 0
    for person in people:
        rng = np.random.default_rng([person, round(fraction * 100)])
        yaw, pitch, roll = rng.uniform(-30, 30, 3)
        spec = SyntheticFaceSpec(
            seed=FIRST_SEED + person, yaw=yaw, pitch=pitch, roll=roll,
            width=1024, height=1024, face_fraction=fraction,
            skin_tone=9 + person % 2 if darkest else None,
        )  # fmt: skip
        image = render_face(spec).image
        found += len(detector().detect(image)) == 1
        dim += len(detector().detect(image // np.uint8(4))) == 1
    say(f"{name:>24} {f'{found} of {len(people)}':>10} {f'{dim} of {len(people)}':>20}")


def _without_faces() -> Iterator[Image]:
    rng = np.random.default_rng(0)
    names = (
        "brick", "cat", "clock", "coffee", "coins", "colorwheel", "grass", "gravel", "horse",
        "hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text",
    )  # fmt: skip
    for name in names:
        picture = np.atleast_3d(img_as_ubyte(getattr(photographs, name)()))  # type: ignore[no-untyped-call]
        yield np.ascontiguousarray(
            np.repeat(picture, 3, axis=2)[..., :3] if picture.shape[2] == 1 else picture[..., :3]
        )
    for side in (64, 300, 1024):
        yield np.zeros((side, side, 3), np.uint8)
        yield rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
        coarse = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        yield np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def determinism_table(people: Sequence[int]) -> None:
    """Print whether another detector, after other pictures, gives the same bits."""
    fresh = MediaPipeDetector()
    different = 0
    for person in reversed(people):
        sight = look_at(person, 0)
        found = fresh.detect(sight.drawn.image, looks=LOOKS)
        if sight.landmarks is None or len(found) != 1:
            continue
        one, other = fit_head(sight.landmarks), fit_head(found[0].landmarks)
        different += one.identity_coefficients.tobytes() != other.identity_coefficients.tobytes()
        different += sight.landmarks.tobytes() != found[0].landmarks.tobytes()
    say(f"Determinism: {different} of {2 * len(people)} answers differ in a bit from another detector's")
    photos = [encode_jpeg(look_at(person, 0).drawn.image) for person in people[:10]]
    here = [_digest(photo) for photo in photos]
    with ThreadPoolExecutor(1) as thread:
        there = list(thread.map(_digest, reversed(photos)))[::-1]
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        elsewhere = list(process.map(_digest, reversed(photos)))[::-1]
    for name, others in (("thread", there), ("process", elsewhere)):
        wrong = sum(one != other for one, other in zip(here, others, strict=True))
        say(f"{'':>13}{wrong} of {len(photos)} heads as files differ in a byte from another {name}'s")


def _digest(photo: bytes) -> str:
    """Return a hash of all that is delivered for a photo: OBJ, texture, camera, numbers, attributes."""
    head = reconstruct_wavefront([photo], WavefrontOptions(JPEG, 512, 10.0, "face.mtl", "tex.jpg"))
    description = describe_head(photo, DescriptionOptions(JPEG, 512, 2_000_000))
    everything = (
        head.obj,
        head.texture,
        transfer_matrix(head.views[0]).tolist(),
        description.texture,
        description.identity_coefficients,
        description.attributes,
    )
    return hashlib.sha256(repr(everything).encode()).hexdigest()


def cost_table(_people: Sequence[int]) -> None:
    """Print what each stage costs on one core for a photograph of 1024 pixels."""
    cv2.setNumThreads(1)
    astronaut = photographs.astronaut()  # type: ignore[no-untyped-call]
    photo = np.asarray(cv2.resize(astronaut, (1024, 1024), interpolation=cv2.INTER_CUBIC), np.uint8)
    faces = detector()
    face = faces.detect(photo, looks=LOOKS)[0]
    fit = fit_head(face.landmarks)
    vertices = observed_shape([fit])
    head = head_mesh(vertices)
    points = fit.camera.project(head_mesh(fit.landmarks_cm).vertices)
    view = TextureView(points, photo)
    texture = bake_texture(head, [view], 1024, skin_places()).image
    smaller = bake_texture(head, [view], 768, skin_places()).image
    normals = vertex_normals(head.vertices, head.triangles)
    mask = faces.segment_person(photo)
    jpeg = encode_jpeg(photo)
    # What is computed for Face++'s answer (f) and for MetaHuman's (m), and what is read and written.
    stages: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("detect", "fm", lambda: faces.detect(photo, looks=LOOKS)),
        ("fit", "fm", lambda: fit_head(face.landmarks)),
        ("head, camera", "f", lambda: (camera_on(fit, observed_shape([fit])), head_mesh(vertices))),
        ("head", "m", lambda: head_mesh(fit.mesh.vertices)),
        ("projection", "fm", lambda: fit.camera.project(head_mesh(fit.landmarks_cm).vertices)),
        ("texture 1024", "f", lambda: bake_texture(head, [view], 1024, skin_places())),
        ("normals", "f", lambda: vertex_normals(head.vertices, head.triangles)),
        ("texture 768", "m", lambda: bake_texture(head, [view], 768, skin_places())),
        ("segment person", "m", lambda: faces.segment_person(photo)),
        ("attributes", "m", lambda: face_attributes(photo, face.landmarks, mask)),
        ("decode JPEG", "", lambda: np.asarray(PillowImage.open(io.BytesIO(jpeg)).convert("RGB"))),
        ("write OBJ", "", lambda: write_obj(head, normals)),
        ("encode JPEG", "", lambda: encode_jpeg(texture)),
        ("encode PNG 768", "", lambda: encode_png(smaller)),
    )
    say("Cost on one core, a photograph of 1024 x 1024 pixels, ms")
    say(f"{'':>16} {'p50':>7} {'p95':>7}")
    totals = {"f": 0.0, "m": 0.0}
    for name, counted, stage in stages:
        stage()
        times = []
        for _ in range(25):
            start = time.perf_counter()
            stage()
            times.append(1e3 * (time.perf_counter() - start))
        p50, p95 = np.percentile(times, (50, 95))
        for answer in counted:
            totals[answer] += p50
        say(f"{name:>16} {p50:7.1f} {p95:7.1f}")
    say("computed for an answer, at the settings' defaults, without what is read and written")
    say(f"{'Face++':>16} {totals['f']:7.1f}")
    say(f"{'MetaHuman':>16} {totals['m']:7.1f}")


TABLES: dict[str, Callable[[Sequence[int]], None]] = {
    "cost": cost_table,
    "shape": shape_table,
    "views": views_table,
    "people": people_table,
    "matrix": matrix_table,
    "stability": stability_table,
    "perspective": perspective_table,
    "detection": detection_table,
    "determinism": determinism_table,
}


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--people", type=int, default=50, help="how many are drawn")
    parser.add_argument("--only", choices=TABLES, action="append", help="print this table alone")
    parser.add_argument("--photos", type=Path, help="a folder of folders of photographs, one a person")
    arguments = parser.parse_args()
    with silenced_stderr():
        if arguments.photos is not None:
            photo_table(arguments.photos)
            return
        for name in arguments.only or TABLES:
            start = time.perf_counter()
            TABLES[name](range(arguments.people))
            say(f"({time.perf_counter() - start:.0f} s)\n")


if __name__ == "__main__":
    main()
