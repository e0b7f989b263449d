"""Detection of rotated heads, and of everybody in a group."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from benchmarks.accuracy.people import FIRST_SEED, say
from emulator.face.candidates import overlap
from emulator.face.landmarks import LEFT_EYE_OUTER_CORNER, RIGHT_EYE_OUTER_CORNER
from emulator.face.synthetic import SyntheticFaceSpec, render_face, render_people
from emulator.face.types import Image, Points3
from emulator.pipelines.core import detector


def roll_table(people: Sequence[int]) -> None:
    """Print how many heads are found at each roll, and how many of these heads get a wrong roll."""
    say("Roll: pictures of one person, rotated in steps of 15 degrees about the circle")
    counts: dict[str, list[int]] = {name: [0, 0, 0] for name in ("up to 50", "50 to 70", "70 to 180")}
    for person in people:
        rng = np.random.default_rng([person, 3])
        yaw, pitch = rng.uniform(-30, 30), rng.uniform(-15, 15)
        spec = SyntheticFaceSpec(seed=FIRST_SEED + person, yaw=yaw, pitch=pitch, width=400, height=400)
        image = render_face(spec).image
        upright = detector().detect(image)
        if len(upright) != 1:
            continue
        for angle_deg in range(0, 360, 15):
            expected = _within_half_turn(roll_deg(upright[0].landmarks) + angle_deg)
            found = detector().detect(rotated(image, angle_deg))
            size = abs(expected)
            count = counts["up to 50" if size <= 50 else "50 to 70" if size <= 70 else "70 to 180"]
            count[0] += 1
            count[1] += len(found)
            count[2] += sum(
                abs(_within_half_turn(roll_deg(face.landmarks) - expected)) > 15 for face in found
            )
    for name, (shown, found_count, wrong) in counts.items():
        say(f"{name + ' degrees':>24} {f'{found_count} of {shown}':>14} {f'wrong roll {wrong}':>16}")


def roll_deg(landmarks: Points3) -> float:
    """Return the roll of the line between the outer corners of the eyes, in degrees."""
    across = landmarks[LEFT_EYE_OUTER_CORNER] - landmarks[RIGHT_EYE_OUTER_CORNER]
    return float(np.degrees(np.arctan2(across[1], across[0])))


def rotated(image: Image, clockwise_deg: float) -> Image:
    """Return the picture rotated about its centre, in a grey square that contains the whole picture."""
    height, width = image.shape[:2]
    side = int(np.hypot(height, width))
    turn = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), -clockwise_deg, 1.0), np.float64)
    turn[:, 2] += (side - width) / 2, (side - height) / 2
    return np.asarray(cv2.warpAffine(image, turn, (side, side), borderValue=(128, 128, 128)), np.uint8)


def _within_half_turn(angle_deg: float) -> float:
    return (angle_deg + 180.0) % 360.0 - 180.0


def group_table(groups: Sequence[int]) -> None:
    """Print how many people in groups are found, how many are found twice, and how many boxes show nobody."""
    say("Groups: people in rows, yaw -30..30, roll -20..20, neighbours touch or overlap")
    for count, widths in ((6, (0.1, 0.18)), (8, (0.05, 0.25)), (12, (0.05, 0.2)), (20, (0.05, 0.14))):
        name = f"{count} people, {widths[0]:.0%} to {widths[1]:.0%}"
        _count(name, [_group(number, count, widths) for number in groups])
    pairs = [_pair(number, place) for number in groups for place in range(5)]
    _count("16% in front of a 45% cheek", pairs)


def _count(name: str, pictures: Sequence[Sequence[SyntheticFaceSpec]]) -> None:
    """Print a row of the table of groups."""
    found_count = doubles = nobody = 0
    for specs in pictures:
        people = render_people(specs)
        boxes = [face.box for face in detector().detect(people[0].image)]
        shown = [sum(overlap(box, person.box) > 0.4 for box in boxes) for person in people]
        found_count += sum(times > 0 for times in shown)
        doubles += sum(max(0, times - 1) for times in shown)
        nobody += sum(all(overlap(box, person.box) <= 0.4 for person in people) for box in boxes)
    shown_count = f"{found_count} of {sum(map(len, pictures))}"
    say(f"{name:>27} {shown_count:>14} {doubles:>3} twice {nobody:>3} nobody")


def _pair(seed: int, place: int) -> list[SyntheticFaceSpec]:
    """Return a small person in front of the cheek or the jaw of a large one. There are five places."""
    rng = np.random.default_rng([seed, 2])
    right, down = ((0.2, 0.2), (0.22, 0.2), (0.2, 0.24), (0.24, 0.18), (-0.22, 0.2))[place]
    large, small = (FIRST_SEED + int(number) for number in rng.integers(1_000_000, size=2))
    return [
        SyntheticFaceSpec(
            seed=large, width=640, height=640, face_fraction=0.45, center=(0.45, 0.4),
            hair_type="short_straight",
        ),
        SyntheticFaceSpec(
            seed=small, width=640, height=640, face_fraction=0.16, center=(0.45 + right, 0.4 + down),
            hair_type="bald",
        ),
    ]  # fmt: skip


def _group(seed: int, count: int, widths: tuple[float, float]) -> list[SyntheticFaceSpec]:
    """Return people in rows of up to six, the smallest behind."""
    rng = np.random.default_rng([seed, count])
    sizes = np.sort(rng.uniform(*widths, count))
    rows = np.array_split(sizes, -(-count // (4 if widths[1] > 0.2 else 6)))
    specs = []
    for row, row_sizes in enumerate(rows):
        space = (0.96 - row_sizes.sum()) / len(row_sizes)
        left = 0.02 + rng.uniform(0.0, max(space, 0.0) / 2)
        for size in row_sizes.tolist():
            center = left + size / 2, 0.12 + 0.7 * row / max(1, len(rows) - 1) + rng.uniform(0, 0.03)
            yaw, pitch, roll = rng.uniform((-30, -10, -20), (30, 10, 20)).tolist()
            specs.append(
                SyntheticFaceSpec(
                    seed=FIRST_SEED + int(rng.integers(1_000_000)), yaw=yaw, pitch=pitch, roll=roll,
                    width=720, height=720, face_fraction=size, center=center,
                )
            )  # fmt: skip
            left += size + (rng.uniform(0.0, space) if space > 0 else space)
    return specs
