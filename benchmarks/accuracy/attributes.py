"""How often attributes of synthetic people are right, and in how many people all pictures agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage

from benchmarks.accuracy.people import observe, say
from benchmarks.accuracy.recognition import reencoded
from emulator.face.attributes import face_attributes
from emulator.face.types import Image
from emulator.pipelines.core import detector
from emulator.pipelines.reconstruct import CROPS

PICTURES = 6
"""Number of pictures of each person. The first one is frontal and unchanged."""


def attributes_table(people: Sequence[int]) -> None:
    """Print how often each attribute is right, and how often it is the same in all pictures of a person."""
    right: Counter[str] = Counter()
    same: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    pictures = persons = 0
    for person in people:
        seen: dict[str, list[object]] = {}
        for number in range(PICTURES):
            truth, values = _picture(person, number)
            if values is None:
                continue
            pictures += 1
            for name, value in values.items():
                right[name] += value == truth[name]
                seen.setdefault(name, []).append(value)
        persons += bool(seen)
        for name, values_seen in seen.items():
            most = Counter(values_seen).most_common(1)[0][1]
            same[name] += most
            whole[name] += most == len(values_seen)
    say(
        f"Attributes: {persons} synthetic people, {PICTURES} pictures of each, with other poses, expressions,"
    )
    say("light, crops and JPEG qualities; share of pictures that are right, and that agree with the majority")
    say("of the person's pictures; share of people with the same value in all pictures")
    say(f"{'':>12} {'right':>7} {'with the majority':>22} {'all pictures':>17}")
    for name in right:
        say(
            f"{name:>12} {right[name] / pictures:7.1%} {same[name] / pictures:22.1%} "
            f"{whole[name] / persons:17.1%}"
        )


def _picture(person: int, number: int) -> tuple[dict[str, object], dict[str, object] | None]:
    """Return the true attributes of a picture, and the measured ones.

    The measured ones are None if the detector does not find exactly one face.
    """
    rng = np.random.default_rng([person, number, 11])
    yaw = float(rng.uniform(-30, 30)) if number else 0.0
    drawn = observe(person, yaw, with_expression=number > 0).synthetic
    image = _changed(drawn.image, rng) if number else drawn.image
    length, _, texture = drawn.person.hair_type.partition("_")
    truth: dict[str, object] = {
        "gender": drawn.person.gender,
        "glasses": drawn.person.glasses,
        # The hair types "curly" and "bald" have no texture, and count as short hair.
        "hair length": length if texture else "short",
    }
    found = detector().detect(image, crops=CROPS)
    if len(found) != 1:
        return truth, None
    measured = face_attributes(image, found[0].landmarks, detector().segment_person(image))
    return truth, {
        "gender": measured.gender,
        "glasses": measured.glasses,
        "hair length": measured.hair_length,
    }


def _changed(image: Image, rng: np.random.Generator) -> Image:
    """Return a cropped, darker or brighter, tinted, smaller and compressed copy of a picture."""
    height, width = image.shape[:2]
    top, bottom, left, right = (rng.uniform(0.0, 0.1, 4) * (height, height, width, width)).astype(int)
    part = image[top : height - bottom, left : width - right]
    lit = np.clip(part * (rng.uniform(0.6, 1.1) * rng.uniform(0.92, 1.08, 3)), 0, 255).astype(np.uint8)
    scale = rng.uniform(0.6, 1.0)
    size = (round(lit.shape[1] * scale), round(lit.shape[0] * scale))
    smaller = np.asarray(PillowImage.fromarray(lit).resize(size, PillowImage.Resampling.BICUBIC), np.uint8)
    return reencoded(smaller, quality=int(rng.integers(50, 95)))
