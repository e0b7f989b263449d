"""Detection rate, and determinism across detectors, threads and processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np
from skimage import data as photographs
from skimage.util import img_as_ubyte

from benchmarks.accuracy.people import FIRST_SEED, JPEG, observe, say
from emulator.face.detection import MediaPipeDetector
from emulator.face.fit import fit_head
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.face.types import Image
from emulator.pipelines.core import detector
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import DescriptionOptions, WavefrontOptions
from emulator.pipelines.reconstruct import CROPS, describe_head, reconstruct_wavefront
from emulator.vendors.faceplusplus.face3d.wire import transfer_matrix


def detection_table(people: Sequence[int]) -> None:
    """Print the detection rate by size and light, and the number of false detections in other pictures."""
    say("Detection: pictures of one person, angles -30..30, in which exactly one face is found")
    say(f"{'of the width':>24} {'unchanged':>10} {'at 1/4 of the light':>20}")
    for fraction in (0.05, 0.08, 0.15, 0.4):
        _detection_row(f"{fraction:.0%}", people, fraction)
    _detection_row("5%, the darkest skins", people, 0.05, darkest=True)
    pictures = list(_without_faces())
    wrong = sum(bool(detector().detect(picture)) for picture in pictures)
    say(f"{'':>9} pictures without a face: one is found in {wrong} of {len(pictures)}")


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
    """Print how many results of another detector object, thread or process are not bit-identical."""
    fresh = MediaPipeDetector()
    different = 0
    for person in reversed(people):
        observation = observe(person, 0)
        found = fresh.detect(observation.synthetic.image, crops=CROPS)
        if observation.landmarks is None or len(found) != 1:
            continue
        one, other = fit_head(observation.landmarks), fit_head(found[0].landmarks)
        different += one.identity_coefficients.tobytes() != other.identity_coefficients.tobytes()
        different += observation.landmarks.tobytes() != found[0].landmarks.tobytes()
    say(f"Determinism: {different} of {2 * len(people)} results are not bit-identical to another detector's")
    photos = [encode_jpeg(observe(person, 0).synthetic.image) for person in people[:10]]
    here = [_digest(photo) for photo in photos]
    with ThreadPoolExecutor(1) as thread:
        there = list(thread.map(_digest, reversed(photos)))[::-1]
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        elsewhere = list(process.map(_digest, reversed(photos)))[::-1]
    for name, others in (("thread", there), ("process", elsewhere)):
        wrong = sum(one != other for one, other in zip(here, others, strict=True))
        say(f"{'':>13}{wrong} of {len(photos)} heads are not byte-identical to those of another {name}")


def _digest(photo: bytes) -> str:
    """Return a hash of all results for a photo: OBJ, textures, camera, coefficients, attributes."""
    head = reconstruct_wavefront([photo], WavefrontOptions(JPEG, 512, 10.0, "face.mtl", "tex.jpg"))
    description = describe_head(photo, DescriptionOptions(JPEG, 512, 2_000_000))
    everything = (
        head.obj,
        head.texture,
        transfer_matrix(head.views[0]).tolist(),
        description.texture,
        description.numbers,
        description.attributes,
    )
    return hashlib.sha256(repr(everything).encode()).hexdigest()
