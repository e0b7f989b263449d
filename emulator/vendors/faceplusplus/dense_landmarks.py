"""The dense landmarks of Face++: about a thousand points along the features of a face, in groups.

Left and right are the sides of the picture. The names and the numbers of points come from the vendor's page
of Dense Facial Landmarks. The order of the points along each edge comes from a logged response.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.face.feature_curves import Feature, FeatureCurves, irises, nostrils
from emulator.vendors.faceplusplus.landmarks import SIDES, Point, Side, person_side, whole

Group = dict[str, Point | int]
"""The points of a group by name, and the radius of the iris in the groups of the eyes."""

_HAIRLINE, _CONTOUR, _RING, _EYE, _NOSE_SIDE, _NOSE_MIDLINE = 145, 64, 64, 63, 63, 60


def _numbered(prefix: str, points: NDArray[np.float64]) -> Group:
    return {f"{prefix}_{number}": point for number, point in enumerate(whole(points))}


def _face(curves: FeatureCurves, _points: NDArray[np.float64]) -> Group:
    half = _HAIRLINE // 2 + 1
    right, left = (curves.sample(person_side(side, "hairline"), half) for side in ("right", "left"))
    # Each contour begins half a step away from the tip of the chin.
    up = 1.0 - (np.arange(_CONTOUR) + 0.5) / (_CONTOUR - 0.5)
    return {
        **_numbered("face_hairline", np.concatenate([right, left[-2::-1]])),
        **_numbered("face_contour_right", curves.at(person_side("right", "outline"), up)),
        **_numbered("face_contour_left", curves.at(person_side("left", "outline"), up)),
    }


def _eyebrow(side: Side) -> Callable[[FeatureCurves, NDArray[np.float64]], Group]:
    upper, lower = person_side(side, "eyebrow_upper"), person_side(side, "eyebrow_lower")
    return lambda curves, _points: _numbered(f"{side}_eyebrow", curves.ring(upper, lower, _RING, 32))


def _eye(side: Side) -> Callable[[FeatureCurves, NDArray[np.float64]], Group]:
    upper, lower = person_side(side, "upper_lid"), person_side(side, "lower_lid")

    def group(curves: FeatureCurves, points: NDArray[np.float64]) -> Group:
        iris = irises(points)[SIDES.index(side)]
        return {
            **_numbered(f"{side}_eye", curves.ring(upper, lower, _EYE, 31)),
            f"{side}_eye_pupil_center": whole(iris.centre[None])[0],
            f"{side}_eye_pupil_radius": round(iris.radius),
        }

    return group


def _eyelid(side: Side) -> Callable[[FeatureCurves, NDArray[np.float64]], Group]:
    upper, lower = person_side(side, "upper_crease"), person_side(side, "lower_crease")
    return lambda curves, _points: _numbered(f"{side}_eye_eyelid", curves.ring(upper, lower, _RING, 32))


def _nose(curves: FeatureCurves, points: NDArray[np.float64]) -> Group:
    left, right = whole(np.array(nostrils(points)))
    return {
        **_numbered("nose_left", curves.sample(person_side("left", "nose_side"), _NOSE_SIDE)),
        **_numbered("nose_right", curves.sample(person_side("right", "nose_side"), _NOSE_SIDE)),
        "left_nostril": left,
        "right_nostril": right,
        **_numbered("nose_midline", curves.sample(Feature.NOSE_MIDLINE, _NOSE_MIDLINE)),
    }


def _mouth(curves: FeatureCurves, _points: NDArray[np.float64]) -> Group:
    upper = curves.ring(Feature.UPPER_LIP_UPPER, Feature.UPPER_LIP_LOWER, _RING, 32)
    lower = curves.ring(Feature.LOWER_LIP_LOWER, Feature.LOWER_LIP_UPPER, _RING, 31)
    return {**_numbered("upper_lip", upper), **_numbered("lower_lip", lower)}


_GROUPS: Final[Mapping[str, Callable[[FeatureCurves, NDArray[np.float64]], Group]]] = {
    "face": _face,
    "left_eyebrow": _eyebrow("left"),
    "right_eyebrow": _eyebrow("right"),
    "left_eye": _eye("left"),
    "left_eye_eyelid": _eyelid("left"),
    "right_eye": _eye("right"),
    "right_eye_eyelid": _eyelid("right"),
    "nose": _nose,
    "mouth": _mouth,
}

GROUPS: Final[tuple[str, ...]] = tuple(_GROUPS)
"""The names of the groups, in the order of a response."""


def dense_landmarks(points: NDArray[np.float64], groups: Iterable[str] = GROUPS) -> dict[str, Group]:
    """Return the dense landmarks of a face, in the order of `GROUPS`.

    Parameters
    ----------
    points : (478, D) float64
        Like ``Face.landmarks``, in pixels.
    groups : iterable of str
        The groups to return, by default all.
    """
    flat = points[:, :2]
    curves = FeatureCurves(flat)
    wanted = set(groups)
    return {name: group(curves, flat) for name, group in _GROUPS.items() if name in wanted}
