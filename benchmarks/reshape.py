"""Effect and cost of the reshape: ``python -m benchmarks.reshape``.

The first tables show how much each parameter changes the proportion that it controls, measured in the
output picture (see ``laboratory.proportions``). The next table shows how far a line in the background moves
(see ``laboratory.background``). The last tables show the time of each stage on one core. For comparison, the
row "floor" has the time to decode a picture, resample it once, and encode it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TypeAlias, TypeVar, get_args

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from emulator.face.background import person_share
from emulator.face.detection import MediaPipeDetector
from emulator.face.displacement import minimum_jacobian
from emulator.face.fit import fit_head
from emulator.face.head_frame import head_frame
from emulator.face.motions import LIP_PARAMETERS
from emulator.face.reshape import reshape_field
from emulator.face.reshape_parameters import ONE_SIDED, ReshapeParameters
from emulator.face.skin import smooth_skin
from emulator.face.synthetic import Background, Expression, HairType, SyntheticFaceSpec, render_face
from emulator.face.types import Image, Points3
from emulator.face.warp import warp_image
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import ImageRules, ReshapeOptions
from emulator.pipelines.reshape import reshape_picture
from laboratory.background import LINE_DISTANCE, drawn_person, line_motion
from laboratory.proportions import PROPORTIONS, measured_effect, outline_motion, speckled, teeth_stretch

# ruff: noqa: T201 - the benchmark prints tables

RULES = ImageRules(frozenset({"jpeg", "png"}))
NAMES = tuple(field.name for field in fields(ReshapeParameters))
VALUES = (-1.0, -0.5, 0.5, 1.0)
Result = TypeVar("Result")
Times: TypeAlias = NDArray[np.float64]
"""Milliseconds: wall time, and CPU time, which depends less on other programs."""


def faces(detector: MediaPipeDetector) -> dict[str, tuple[Image, Points3]]:
    """Return the faces to measure and their landmarks: synthetic faces and a photograph."""
    shown = {}
    for seed, yaw in ((3, 0), (14, 0), (17, 0), (17, 25)):
        spec = SyntheticFaceSpec(seed=seed, yaw=yaw, skin_tone=5, width=640, height=700, face_fraction=0.48)
        drawn = render_face(spec).image
        # Detect first: optical flow needs a speckled picture, in which the detector may miss a turned face.
        found = detector.detect(drawn)[0].landmarks
        shown[f"synthetic {seed}, yaw {yaw}"] = speckled(drawn, grain=2.2), found
    # Enlarge the astronaut's small face, because optical flow cannot measure detail below a pixel.
    part = skimage.data.astronaut()[:260, 90:350]  # type: ignore[no-untyped-call]
    large = np.asarray(cv2.resize(part, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), np.uint8)
    shown["astronaut"] = large, detector.detect(large)[0].landmarks
    return shown


def print_effects(title: str, image: Image, landmarks: Points3, detector: MediaPipeDetector) -> None:
    """Print the effects of all parameters on one face."""
    print(f"\n{title}: u is {head_frame(landmarks).unit:.0f} pixels; % is of the proportion or of u")
    print(
        f"{'parameter':<20} {'-100':>7} {'-50':>7} {'50':>7} {'100':>7} {'target':>7}  monotonic"
        f"  {'leak % u':>8} {'':<9} {'min J':>5} {'outside':>7}"
    )
    for name, proportion in PROPORTIONS.items():
        values = [value for value in VALUES if value > 0 or name not in ONE_SIDED]
        effects = {
            value: measured_effect(image, landmarks, name, value, detector.segment_person) for value in values
        }
        percent = 1.0 if proportion.unit == "deg" else 100.0
        shown = [
            f"{percent * effects[value].change:7.2f}" if value in effects else " " * 7 for value in VALUES
        ]
        ordered = [effects[value].change for value in values if value < 0]
        ordered += [0.0] + [effects[value].change for value in values if value > 0]
        monotonic = (np.diff(ordered) * np.sign(proportion.at_100) > 0).all()
        worst = max(effects.values(), key=lambda effect: effect.leak)
        unit = {"share": "%", "u": "%u", "deg": "°"}[proportion.unit]
        print(
            f"{name:<20} {' '.join(shown)} {percent * proportion.at_100:7.2f} {unit:<2}"
            f" {'yes' if monotonic else 'NO':<8}"
            f" {100 * worst.leak:8.2f} {worst.leak_feature:<9}"
            f" {min(effect.minimum_jacobian for effect in effects.values()):5.2f}"
            f" {sum(effect.changed_outside for effect in effects.values()):7d}"
        )
    extremes = [
        dict.fromkeys(NAMES, 1.0),
        {name: 0.0 if name in ONE_SIDED else -1.0 for name in NAMES},
        {name: 1.0 if name in ONE_SIDED else -1.0 for name in NAMES},
    ]
    lowest = min(
        minimum_jacobian(
            reshape_field(landmarks, ReshapeParameters(**values), (image.shape[0], image.shape[1]))
        )
        for values in extremes
    )
    print(f"all parameters at their extremes: smallest Jacobian determinant {lowest:.2f}")


def print_background(detector: MediaPipeDetector) -> None:
    """Print how far a line beside the head moves if one parameter is at an extreme."""
    print(
        f"\nmovement of a line {LINE_DISTANCE} u outside hair, ears and face, in pixels, by every parameter"
    )
    print("at its extremes; points that the reshaped person covers or touches are left out")
    print(f"{'':<20} {'u':>4} {'whole field':>21} {'background stays':>30}")
    print(f"{'':<25} {'max':>10} {'over 0.5':>10} {'max':>9} {'over 0.5':>10} {'median':>9}  {'largest by'}")
    for index, hair in enumerate(get_args(HairType)):
        place = get_args(Background)[index % 4]
        spec = SyntheticFaceSpec(
            seed=40 + index,
            hair_type=hair,
            background=place,
            yaw=12.0 * (index % 3 - 1),
            width=640,
            height=640,
        )
        image, person = drawn_person(spec)
        _print_line(f"{hair}, {place}", image, person, detector)
    astronaut = np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    # For a photograph, the mask of the whole picture takes the place of the truth.
    _print_line("astronaut", astronaut, detector.segment_person(astronaut) > 0.5, detector)


def _print_line(title: str, image: Image, person: NDArray[np.bool_], detector: MediaPipeDetector) -> None:
    landmarks = detector.detect(image)[0].landmarks
    unit = head_frame(landmarks).unit
    before, after, largest = [], [], (0.0, "")
    for name in NAMES:
        for value in (1.0,) if name in ONE_SIDED else (-1.0, 1.0):
            field = reshape_field(
                landmarks, ReshapeParameters(**{name: value}), (image.shape[0], image.shape[1])
            )
            share = person_share(image, landmarks, field, detector.segment_person)
            before.append(line_motion(person, landmarks, unit, field, None).pixels)
            after.append(line_motion(person, landmarks, unit, field, share).pixels)
            largest = max(largest, (float(after[-1].max(initial=0.0)), f"{name} {100 * value:+.0f}"))
    whole, kept = np.concatenate(before), np.concatenate(after)
    print(
        f"{title:<27} {unit:4.0f} {whole.max():5.1f} {100 * (whole > 0.5).mean():8.1f} %"
        f" {kept.max():9.2f} {100 * (kept > 0.5).mean():8.2f} % {np.median(kept):9.2f}  {largest[1]}"
    )


def print_smiles(detector: MediaPipeDetector) -> None:
    """Print how lip parameters move the outline of the face and stretch the teeth of people who smile."""
    lips = sorted(LIP_PARAMETERS)
    print("\nBroad smiles: largest values over four synthetic people")
    print(f"{'lip parameters':<40} {'outline % u':>11} {'teeth %':>8} {'min J':>6}")
    combinations: dict[str, dict[str, float]] = {
        f"{name} {end}": {name: end / 100} for name in lips for end in (-100, 100)
    }
    combinations |= {
        f"lip_width {width}, lip_size {size}": {"lip_width": width / 100, "lip_size": size / 100}
        for width in (-100, 100)
        for size in (-100, 100)
    }
    combinations |= {f"all {end}": dict.fromkeys(lips, end / 100) for end in (-100, 100)}
    smiles = []
    for seed, yaw, open_mouth in ((3, 0, 0.35), (14, 0, 0.5), (54, 0, 0.3), (20, 20, 0.4)):
        expression = Expression(smile=1.0, open_mouth=open_mouth)
        drawn = render_face(SyntheticFaceSpec(seed=seed, yaw=yaw, expression=expression)).image
        smiles.append(((drawn.shape[0], drawn.shape[1]), detector.detect(drawn)[0].landmarks))
    for name, values in combinations.items():
        shown = [(reshape_field(face, ReshapeParameters(**values), size), face) for size, face in smiles]
        outline = max(100 * outline_motion(field, face) for field, face in shown)
        teeth = max(100 * teeth_stretch(field, face) for field, face in shown)
        lowest = min(minimum_jacobian(field) for field, _ in shown)
        print(f"{name:<40} {outline:11.2f} {teeth:8.1f} {lowest:6.2f}")


def timed(repetitions: int, work: Callable[[], Result]) -> tuple[Times, Result]:
    """Return the median times of ``work``, and its result."""
    result, elapsed, used = work(), [], []
    for _ in range(repetitions):
        began, began_cpu = time.perf_counter(), time.process_time()
        result = work()
        used.append((time.process_time() - began_cpu) * 1000)
        elapsed.append((time.perf_counter() - began) * 1000)
    return np.array([np.median(elapsed), np.median(used)]), result


def print_costs(side: int, repetitions: int) -> None:
    """Print the time of each stage for a picture of ``side`` x ``side`` pixels."""
    drawn = render_face(SyntheticFaceSpec(seed=17, width=1024, height=1024)).image
    drawn = np.asarray(cv2.resize(drawn, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    data = encode_jpeg(speckled(drawn, grain=1.0, amplitude=3.0), quality=90)
    parameters = ReshapeParameters(**dict.fromkeys(NAMES, 0.5))
    detector = MediaPipeDetector()
    rows: list[tuple[str, Times]] = []

    def stage(name: str, work: Callable[[], Result]) -> Result:
        elapsed, result = timed(repetitions, work)
        rows.append((name, elapsed))
        return result

    image = stage("decode", lambda: decode_picture(data, RULES).image)
    landmarks = stage("detect", lambda: detector.detect(image))[0].landmarks
    stage("fit", lambda: fit_head(landmarks))
    smooth = stage("smooth", lambda: smooth_skin(image, landmarks, 0.5, 0.5))
    field = stage("field", lambda: reshape_field(landmarks, parameters, (side, side)))
    share = stage("share", lambda: person_share(image, landmarks, field, detector.segment_person))
    warped = stage("warp", lambda: warp_image(smooth, field, share))
    stage("encode", lambda: encode_jpeg(warped, quality=95))
    everything = np.moveaxis(np.mgrid[:side, :side].astype(np.float32)[::-1], 0, 2) + np.float32(0.3)
    everything = np.ascontiguousarray(everything)
    floor, _ = timed(
        repetitions,
        lambda: cv2.remap(image, everything, np.empty(0, np.float32), interpolation=cv2.INTER_CUBIC),
    )
    floor = floor + rows[0][1] + rows[-1][1]
    options = ReshapeOptions(RULES, 0, parameters, 0.5, 0.5, 0.05, 30.0)
    total, _ = timed(repetitions, lambda: reshape_picture(data, options))
    rows += [("floor", floor), ("all", total)]
    print(f"\n{side} x {side} pixels, JPEG of {len(data) / 1e6:.1f} MB, medians of {repetitions}")
    print(f"{'':<8} {'ms':>8} {'CPU ms':>8}")
    for name, times in rows:
        print(f"{name:<8} {times[0]:8.1f} {times[1]:8.1f}")
    print("floor: decode, one resampling of the picture, encode; all: the whole reshape, ", end="")
    print(f"{total[0] / floor[0]:.2f} times the floor ({total[1] / floor[1]:.2f} in CPU time)")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="*", help="additional photographs to measure")
    parser.add_argument("--costs-only", action="store_true")
    parser.add_argument("--background-only", action="store_true")
    given = parser.parse_args()
    if given.background_only:
        print_background(MediaPipeDetector())
        return
    if not given.costs_only:
        detector = MediaPipeDetector()
        shown = faces(detector)
        for photo in given.photos:
            image = decode_picture(photo.read_bytes(), RULES).image
            shown[photo.name] = image, detector.detect(image)[0].landmarks
        for title, (image, landmarks) in shown.items():
            print_effects(title, image, landmarks, detector)
        print_smiles(detector)
        print_background(detector)
    cv2.setNumThreads(1)
    print_costs(1024, 25)
    print_costs(4096, 7)


if __name__ == "__main__":
    main()
