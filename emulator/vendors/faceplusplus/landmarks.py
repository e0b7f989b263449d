"""The 83 and the 106 landmarks of Face++, in the order of the vendor's pages.

Left and right are the sides of the picture: ``left_eye`` is the person's right eye. The position of each
landmark on the face comes from the vendor's pages and from logged responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from emulator.face.feature_curves import Feature, FeatureCurves, irises
from emulator.face.landmarks import CHIN_TIP, MIRROR, NOSE_TIP

Side = Literal["left", "right"]
"""A side of the picture."""

SIDES: Final[tuple[Side, Side]] = ("left", "right")

Place = int | tuple[Feature, float] | Literal["left_pupil", "right_pupil", "left_eye", "right_eye"]
"""A landmark of the face mesh, a position on a curve, a pupil, or the middle of an eye."""

Point = tuple[int, int]
"""x and y in pixels."""

_OTHER: Final[Mapping[Side, Side]] = {"left": "right", "right": "left"}

_NOSE_BASE: Final = 2
"""The landmark of the face mesh between the nose and the upper lip."""

# The positions on the nose and the lips come from a logged response with 106 landmarks.


def person_side(side: Side, curve: str) -> Feature:
    """Return the curve, such as ``outline`` or ``upper_lid``, that is on this side of the picture."""
    return Feature(f"{_OTHER[side]}_{curve}")


def _index(side: Side, right: int) -> int:
    """Return ``right``, a landmark on the person's right, or its mirror image: the one at ``side``."""
    return right if side == "left" else MIRROR[right]


def _contour(side: Side, count: int) -> dict[str, Place]:
    outline = person_side(side, "outline")
    return {f"contour_{side}{number + 1}": (outline, number / count) for number in range(count)}


def _eye(side: Side) -> dict[str, Place]:
    upper, lower = person_side(side, "upper_lid"), person_side(side, "lower_lid")
    outer, inner = side, _OTHER[side]
    return {
        f"{side}_eye_bottom": (lower, 0.5),
        f"{side}_eye_center": "left_eye" if side == "left" else "right_eye",
        f"{side}_eye_{outer}_corner": (upper, 0.0),
        f"{side}_eye_lower_{outer}_quarter": (lower, 0.25),
        f"{side}_eye_lower_{inner}_quarter": (lower, 0.75),
        f"{side}_eye_pupil": "left_pupil" if side == "left" else "right_pupil",
        f"{side}_eye_{inner}_corner": (upper, 1.0),
        f"{side}_eye_top": (upper, 0.5),
        f"{side}_eye_upper_{outer}_quarter": (upper, 0.25),
        f"{side}_eye_upper_{inner}_quarter": (upper, 0.75),
    }


def _eyebrow(side: Side) -> dict[str, Place]:
    upper, lower = person_side(side, "eyebrow_upper"), person_side(side, "eyebrow_lower")
    outer, inner = side, _OTHER[side]
    return {
        f"{side}_eyebrow_{outer}_corner": (upper, 0.0),
        f"{side}_eyebrow_upper_{outer}_quarter": (upper, 0.25),
        f"{side}_eyebrow_upper_middle": (upper, 0.5),
        f"{side}_eyebrow_upper_{inner}_quarter": (upper, 0.75),
        f"{side}_eyebrow_{inner}_corner": (upper, 1.0),
        f"{side}_eyebrow_lower_{outer}_quarter": (lower, 0.25),
        f"{side}_eyebrow_lower_middle": (lower, 0.5),
        f"{side}_eyebrow_lower_{inner}_quarter": (lower, 0.75),
        f"{side}_eyebrow_upper_{inner}_corner": _index(side, 107),
        f"{side}_eyebrow_lower_{inner}_corner": _index(side, 55),
    }


def _mouth_side(side: Side, inner: Mapping[str, float]) -> dict[str, Place]:
    """Return the landmarks of one half of the lips. ``inner`` names those on the upper lip's lower edge."""

    def on(edge: Feature, share: float) -> tuple[Feature, float]:
        # `share` is counted from the corner at this side. Curves begin at the left corner of the picture.
        return edge, share / 2.0 if side == "left" else 1.0 - share / 2.0

    return {
        f"mouth_{side}_corner": on(Feature.UPPER_LIP_UPPER, 0.0),
        f"mouth_upper_lip_{side}_contour1": on(Feature.UPPER_LIP_UPPER, 0.76),
        f"mouth_upper_lip_{side}_contour2": on(Feature.UPPER_LIP_UPPER, 0.4),
        **{
            f"mouth_upper_lip_{side}_{name}": on(Feature.UPPER_LIP_LOWER, share)
            for name, share in inner.items()
        },
        f"mouth_lower_lip_{side}_contour1": on(Feature.LOWER_LIP_UPPER, 0.5),
        f"mouth_lower_lip_{side}_contour2": on(Feature.LOWER_LIP_LOWER, 0.3),
        f"mouth_lower_lip_{side}_contour3": on(Feature.LOWER_LIP_LOWER, 0.6),
    }


_LIPS: Final[Mapping[str, Place]] = {
    "mouth_upper_lip_top": (Feature.UPPER_LIP_UPPER, 0.5),
    "mouth_upper_lip_bottom": (Feature.UPPER_LIP_LOWER, 0.5),
    "mouth_lower_lip_top": (Feature.LOWER_LIP_UPPER, 0.5),
    "mouth_lower_lip_bottom": (Feature.LOWER_LIP_LOWER, 0.5),
}


def _nose_side_83(side: Side) -> dict[str, Place]:
    nose = person_side(side, "nose_side")
    return {
        f"nose_contour_{side}1": (nose, 0.12),
        f"nose_contour_{side}2": (nose, 0.45),
        f"nose_contour_{side}3": (nose, 0.87),
        f"nose_{side}": (nose, 0.64),
    }


def _nose_side_106(side: Side) -> dict[str, Place]:
    nose = person_side(side, "nose_side")
    shares = (0.12, 0.5, 0.64, 0.78, 0.9)
    return {f"nose_{side}_contour{number}": (nose, share) for number, share in enumerate(shares, 1)}


_PLACES_83: Final[Mapping[str, Place]] = {
    "contour_chin": CHIN_TIP,
    **_contour("left", 9),
    **_contour("right", 9),
    **_eye("left"),
    **_eye("right"),
    **_eyebrow("left"),
    **_eyebrow("right"),
    **_mouth_side("left", {"contour3": 0.5}),
    **_mouth_side("right", {"contour3": 0.5}),
    **_LIPS,
    **_nose_side_83("left"),
    **_nose_side_83("right"),
    "nose_contour_lower_middle": _NOSE_BASE,
    "nose_tip": NOSE_TIP,
}

_PLACES_106: Final[Mapping[str, Place]] = {
    **_PLACES_83,
    **_contour("left", 16),
    **_contour("right", 16),
    **_mouth_side("left", {"contour3": 0.18, "contour4": 0.52}),
    **_mouth_side("right", {"contour3": 0.18, "contour4": 0.52}),
    "nose_bridge1": (Feature.NOSE_MIDLINE, 0.18),
    "nose_bridge2": (Feature.NOSE_MIDLINE, 0.37),
    "nose_bridge3": (Feature.NOSE_MIDLINE, 0.55),
    **_nose_side_106("left"),
    **_nose_side_106("right"),
    "nose_middle_contour": _NOSE_BASE,
}


def _numbered(prefix: str, last: int, first: int = 1) -> list[str]:
    return [f"{prefix}{number}" for number in range(first, last + 1)]


def _prefixed(prefix: str, names: str) -> list[str]:
    return [prefix + name for name in names.split()]


_EYE_83 = (
    "bottom center left_corner lower_left_quarter lower_right_quarter pupil right_corner top"
    " upper_left_quarter upper_right_quarter"
)
_EYEBROW_83 = (
    "left_corner lower_left_quarter lower_middle lower_right_quarter right_corner upper_left_quarter"
    " upper_middle upper_right_quarter"
)
_EYE_106 = (
    "left_corner upper_left_quarter top upper_right_quarter right_corner lower_right_quarter bottom"
    " lower_left_quarter pupil center"
)

NAMES_83: Final[tuple[str, ...]] = (
    "contour_chin",
    *_numbered("contour_left", 9),
    *_numbered("contour_right", 9),
    *_prefixed("left_eye_", _EYE_83),
    *_prefixed("left_eyebrow_", _EYEBROW_83),
    "mouth_left_corner",
    "mouth_lower_lip_bottom",
    *_numbered("mouth_lower_lip_left_contour", 3),
    *_numbered("mouth_lower_lip_right_contour", 3),
    "mouth_lower_lip_top",
    "mouth_right_corner",
    "mouth_upper_lip_bottom",
    *_numbered("mouth_upper_lip_left_contour", 3),
    *_numbered("mouth_upper_lip_right_contour", 3),
    "mouth_upper_lip_top",
    *_numbered("nose_contour_left", 3),
    "nose_contour_lower_middle",
    *_numbered("nose_contour_right", 3),
    "nose_left",
    "nose_right",
    "nose_tip",
    *_prefixed("right_eye_", _EYE_83),
    *_prefixed("right_eyebrow_", _EYEBROW_83),
)
"""The names of the 83 landmarks, in the order of the vendor's page, which is alphabetical."""

NAMES_106: Final[tuple[str, ...]] = (
    *_numbered("contour_left", 16),
    "contour_chin",
    *_numbered("contour_right", 16),
    *_prefixed(
        "left_eyebrow_",
        "left_corner upper_left_quarter upper_middle upper_right_quarter upper_right_corner"
        " lower_left_quarter lower_middle lower_right_quarter lower_right_corner",
    ),
    *_prefixed(
        "right_eyebrow_",
        "upper_left_corner upper_left_quarter upper_middle upper_right_quarter right_corner"
        " lower_left_corner lower_left_quarter lower_middle lower_right_quarter",
    ),
    *_numbered("nose_bridge", 3),
    "nose_tip",
    *_numbered("nose_left_contour", 5),
    "nose_middle_contour",
    *_numbered("nose_right_contour", 5),
    *_prefixed("left_eye_", _EYE_106),
    *_prefixed("right_eye_", _EYE_106),
    "mouth_left_corner",
    *_numbered("mouth_upper_lip_left_contour", 4),
    "mouth_right_corner",
    *_numbered("mouth_upper_lip_right_contour", 4),
    "mouth_upper_lip_top",
    "mouth_upper_lip_bottom",
    *_numbered("mouth_lower_lip_right_contour", 3),
    *_numbered("mouth_lower_lip_left_contour", 3),
    "mouth_lower_lip_top",
    "mouth_lower_lip_bottom",
)
"""The names of the 106 landmarks, in the order of the vendor's page."""


def landmarks_83(points: NDArray[np.float64]) -> dict[str, Point]:
    """Return the 83 landmarks of a face, in the order of the vendor's page.

    Parameters
    ----------
    points : (478, D) float64
        Like ``Face.landmarks``, in pixels.
    """
    return _landmarks(points, _PLACES_83, NAMES_83)


def landmarks_106(points: NDArray[np.float64]) -> dict[str, Point]:
    """Return the 106 landmarks of a face, in the order of the vendor's page.

    Parameters
    ----------
    points : (478, D) float64
        Like ``Face.landmarks``, in pixels.
    """
    return _landmarks(points, _PLACES_106, NAMES_106)


def whole(points: NDArray[np.float64]) -> list[Point]:
    """Return the coordinates of points (P, 2), rounded to whole pixels."""
    return [(x, y) for x, y in np.rint(points).astype(int).tolist()]


def _landmarks(
    points: NDArray[np.float64], places: Mapping[str, Place], names: tuple[str, ...]
) -> dict[str, Point]:
    flat = points[:, :2]
    curves = FeatureCurves(flat)
    of_person = dict(zip(("left", "right"), irises(flat), strict=True))
    found: dict[str, NDArray[np.float64]] = {}
    on_curves: dict[Feature, dict[str, float]] = {}
    for name in names:
        match places[name]:
            case int(index):
                found[name] = flat[index]
            case (feature, position):
                on_curves.setdefault(feature, {})[name] = position
            case place:
                side, part = place.split("_")
                found[name] = of_person[side].centre if part == "pupil" else _eye_centre(curves, side)
    for feature, positions in on_curves.items():
        found |= zip(positions, curves.at(feature, list(positions.values())), strict=True)
    return dict(zip(names, whole(np.array([found[name] for name in names])), strict=True))


def _eye_centre(curves: FeatureCurves, side: str) -> NDArray[np.float64]:
    person = "right" if side == "left" else "left"
    lids = [curves.at(Feature(f"{person}_{lid}_lid"), (0.25, 0.5, 0.75)) for lid in ("upper", "lower")]
    return np.asarray(np.concatenate(lids).mean(axis=0))
