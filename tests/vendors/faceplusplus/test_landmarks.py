from __future__ import annotations

import numpy as np
import pytest
from canonical_landmarks import canonical_landmarks

from emulator.face.landmarks import mirrored_landmarks
from emulator.vendors.faceplusplus.landmarks import NAMES_83, NAMES_106, landmarks_83, landmarks_106

LANDMARKS = canonical_landmarks(scale=100.0, origin=(1000.0, 1200.0))
ON_83, ON_106 = landmarks_83(LANDMARKS), landmarks_106(LANDMARKS)


def swapped(name: str) -> str:
    """Return the name of the mirror image."""
    return name.replace("left", "#").replace("right", "left").replace("#", "right")


def test_the_names_are_in_the_order_of_the_vendors_pages() -> None:
    assert len(set(NAMES_83)) == 83
    assert len(set(NAMES_106)) == 106
    assert list(NAMES_83) == sorted(NAMES_83)
    assert tuple(ON_83) == NAMES_83
    assert tuple(ON_106) == NAMES_106
    assert NAMES_106[:34] == (
        *(f"contour_left{number}" for number in range(1, 17)),
        "contour_chin",
        *(f"contour_right{number}" for number in range(1, 17)),
        "left_eyebrow_left_corner",
    )


def test_the_two_sets_differ_as_documented() -> None:
    removed, added = set(NAMES_83) - set(NAMES_106), set(NAMES_106) - set(NAMES_83)
    nose = {name for name in NAMES_83 if name.startswith("nose_")} - {"nose_tip"}
    assert removed == {"left_eyebrow_right_corner", "right_eyebrow_left_corner"} | nose
    assert len([name for name in added if name.startswith("contour_")]) == 14
    assert {name for name in added if "eyebrow" in name} == {
        "left_eyebrow_upper_right_corner",
        "left_eyebrow_lower_right_corner",
        "right_eyebrow_upper_left_corner",
        "right_eyebrow_lower_left_corner",
    }
    assert {name for name in added if "mouth" in name} == {
        "mouth_upper_lip_left_contour4",
        "mouth_upper_lip_right_contour4",
    }


@pytest.mark.parametrize("function", [landmarks_83, landmarks_106])
def test_left_is_the_left_of_the_picture_and_mirrors_right(function: object) -> None:
    assert callable(function)
    found = function(LANDMARKS)
    mirrored = function(mirrored_landmarks(LANDMARKS, 2001))
    for name, (x, y) in found.items():
        other_x, other_y = mirrored[swapped(name)]
        assert abs(2000 - other_x - x) <= 1
        assert abs(other_y - y) <= 1
    for name in found:
        if name.startswith("left_"):
            assert found[name][0] < found[swapped(name)][0]


@pytest.mark.parametrize("found", [ON_83, ON_106])
def test_the_landmarks_are_where_their_names_say(found: dict[str, tuple[int, int]]) -> None:
    for side in ("left", "right"):
        eye, brow = f"{side}_eye_", f"{side}_eyebrow_"
        assert found[f"{eye}top"][1] < found[f"{eye}center"][1] < found[f"{eye}bottom"][1]
        assert found[f"{eye}upper_left_quarter"][1] < found[f"{eye}lower_left_quarter"][1]
        across = [found[f"{eye}{part}"][0] for part in ("left_corner", "upper_left_quarter", "top")]
        across += [found[f"{eye}{part}"][0] for part in ("upper_right_quarter", "right_corner")]
        assert across == sorted(across)
        assert found[f"{brow}upper_middle"][1] < found[f"{brow}lower_middle"][1] < found[f"{eye}top"][1]
        across = [found[f"{brow}lower_{part}"][0] for part in ("left_quarter", "middle", "right_quarter")]
        assert across == sorted(across)
        down = [found[f"contour_{side}{number}"][1] for number in range(1, 10)]
        assert down == sorted(down)
        assert abs(down[0] - found[f"{eye}center"][1]) < 0.1 * (found["contour_chin"][1] - down[0])
    for part in ("left_contour1", "right_contour1", "top", "bottom"):
        assert found["mouth_left_corner"][0] < found[f"mouth_upper_lip_{part}"][0]
        assert found[f"mouth_upper_lip_{part}"][0] < found["mouth_right_corner"][0]
    down = [found[f"mouth_{part}"][1] for part in ("upper_lip_top", "upper_lip_bottom")]
    down += [found[f"mouth_{part}"][1] for part in ("lower_lip_top", "lower_lip_bottom")]
    assert down == sorted(down)


def test_the_contours_have_equal_steps_and_share_their_ends() -> None:
    assert ON_83["contour_chin"] == ON_106["contour_chin"]
    for found, count in ((ON_83, 9), (ON_106, 16)):
        for side in ("left", "right"):
            assert found[f"contour_{side}1"] == ON_83[f"contour_{side}1"]
            names = [f"contour_{side}{number}" for number in range(1, count + 1)]
            steps = np.linalg.norm(
                np.diff([found[name] for name in [*names, "contour_chin"]], axis=0), axis=1
            )
            np.testing.assert_allclose(steps, steps.mean(), rtol=0.06)


def test_the_nose_follows_the_logged_response() -> None:
    def share(name: str) -> float:
        top, base = ON_106["nose_bridge1"][1], ON_106["nose_middle_contour"][1]
        return (ON_106[name][1] - top) / (base - top)

    bridge = [share(name) for name in ("nose_bridge1", "nose_bridge2", "nose_bridge3", "nose_tip")]
    assert bridge == sorted(bridge)
    # In a logged response, the five landmarks of a side are at these shares of the nose's height.
    logged = (0.08, 0.64, 0.84, 0.92, 0.95)
    assert [share(f"nose_left_contour{n}") for n in range(1, 6)] == pytest.approx(logged, abs=0.1)
    half = ON_106["nose_middle_contour"][0] - ON_106["nose_left_contour3"][0]
    wide = [
        (ON_106["nose_middle_contour"][0] - ON_106[f"nose_left_contour{n}"][0]) / half for n in range(1, 6)
    ]
    assert wide == pytest.approx((0.53, 0.77, 1.0, 0.7, 0.36), abs=0.12)
