from __future__ import annotations

from dataclasses import fields, replace

import pytest

from emulator.face.landmarks import LANDMARK_COUNT, MIRROR
from emulator.face.motions import LIP_PARAMETERS, MOTIONS, OVAL_LEFT, OVAL_RIGHT, Motion
from emulator.face.reshape_parameters import ReshapeParameters

EVERY = [(name, number) for name, motions in MOTIONS.items() for number in range(len(motions))]
OTHER_SIDE = {"left": "right", "right": "left", "both": "both"}


def mirror_image(motion: Motion) -> Motion:
    """Return the motion on the other side of the face, with its landmarks in ascending order."""

    def mirrored(group: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted({MIRROR[index] for index in group}))

    x, y, z = motion.shift
    return replace(
        motion,
        core=mirrored(motion.core),
        still=mirrored(motion.still),
        centre=mirrored(motion.centre),
        side=OTHER_SIDE[motion.side],  # type: ignore[arg-type] # the other side is a side
        shift=(-x if x else 0.0, y, z),
        turn_deg=-motion.turn_deg if motion.turn_deg else 0.0,
    )


def in_order(motion: Motion) -> Motion:
    return mirror_image(mirror_image(motion))


def test_every_parameter_has_motions() -> None:
    assert list(MOTIONS) == [field.name for field in fields(ReshapeParameters)]
    assert all(MOTIONS.values())


@pytest.mark.parametrize(("name", "number"), EVERY)
def test_a_motion_moves_landmarks_by_a_visible_but_natural_amount(name: str, number: int) -> None:
    motion = MOTIONS[name][number]
    for group in (motion.core, motion.still, motion.centre):
        assert all(0 <= index < LANDMARK_COUNT for index in group)
    assert 0.0 < motion.reach < 1.0
    # A landmark at the core cannot stay still at the same time.
    assert not set(motion.core) & set(motion.still)
    amounts = [*map(abs, motion.gain), abs(motion.turn_deg) / 45.0]
    if not motion.seam:
        amounts += map(abs, motion.shift)
        assert all(abs(part) <= 0.145 for part in motion.shift)
    assert 0.01 < max(amounts) < 0.5


@pytest.mark.parametrize(("name", "number"), EVERY)
def test_gains_and_turns_have_a_centre(name: str, number: int) -> None:
    motion = MOTIONS[name][number]
    if any(motion.gain) or motion.turn_deg:
        assert motion.centre
    if motion.seam:
        # The shift is the direction away from the seam.
        assert motion.shift in ((0.0, 1.0, 0.0), (0.0, -1.0, 0.0))


def test_both_sides_of_the_face_move_alike() -> None:
    for name, motions in MOTIONS.items():
        if name.endswith(("_left", "_right")):
            end = "right" if name.endswith("left") else "left"
            others = MOTIONS[f"{name.rpartition('_')[0]}_{end}"]
        else:
            others = motions
        assert set(map(mirror_image, motions)) == set(map(in_order, others)), name


def test_a_parameter_of_one_side_moves_only_this_side() -> None:
    for name, motions in MOTIONS.items():
        side = name.rpartition("_")[2]
        if side in ("left", "right"):
            assert {motion.side for motion in motions} == {side}


def test_the_lip_parameters_spare_the_outline() -> None:
    assert {"lip_size", "lip_width", "lip_height_top", "lip_height_bottom", "lip_peak"} == LIP_PARAMETERS
    for name in LIP_PARAMETERS:
        for motion in MOTIONS[name]:
            assert not set(motion.core) & {*OVAL_LEFT, *OVAL_RIGHT}
