"""Measurements of a reshaped face: one quantity per parameter, and the unintended movements.

The output picture is measured, not the displacement field: the landmarks of the input are moved along the
dense optical flow from input to output. Detecting landmarks in the output would not work, because the
detector's model of a face hides most of a local change. Lengths are in u, the distance between the outer eye
corners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.background import person_share
from emulator.face.displacement import DisplacementField, minimum_jacobian
from emulator.face.head_frame import HeadFrame, head_frame
from emulator.face.landmarks import (
    FACE_OVAL,
    LEFT_EYE,
    LEFT_EYEBROW,
    LEFT_IRIS,
    LIPS_INNER,
    LIPS_OUTER,
    NOSE,
    RIGHT_EYE,
    RIGHT_EYEBROW,
    RIGHT_IRIS,
    SURFACE_COUNT,
)
from emulator.face.reshape import reshape_field
from emulator.face.reshape_parameters import ReshapeParameters
from emulator.face.types import Image, Mask, Points3, check_image, check_points
from emulator.face.warp import warp_image

FEATURES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "left eye": LEFT_EYE + LEFT_IRIS,
        "right eye": RIGHT_EYE + RIGHT_IRIS,
        "brows": LEFT_EYEBROW + RIGHT_EYEBROW,
        "nose": NOSE,
        "lips": LIPS_OUTER + LIPS_INNER,
        "outline": FACE_OVAL,
    }
)
"""The landmarks of each feature."""


@dataclass(frozen=True)
class Proportion:
    """The quantity that a parameter changes.

    Attributes
    ----------
    quantity : str
        A description.
    measure : callable
        Computes the quantity from landmarks (478, 3) in the head's frame, in u, the distance between the
        outer eye corners.
    unit : str
        The unit of a change: ``share`` (a fraction of the quantity), ``u`` or ``deg`` (degrees).
    at_100 : float
        The intended change, in that unit, with the parameter at its upper end.
    features : tuple of str
        The features that the parameter should move. Movement of another feature is a leak.
    """

    quantity: str
    measure: Callable[[Points3], float]
    unit: str
    at_100: float
    features: tuple[str, ...]

    def change(self, before: Points3, after: Points3) -> float:
        """Return the increase of the quantity, in ``unit``."""
        first = self.measure(before)
        change = self.measure(after) - first
        return change / first if self.unit == "share" else change


def leak(before: Points3, after: Points3, features: tuple[str, ...]) -> tuple[float, str]:
    """Return the largest movement of a feature that is not in ``features``, and the feature's name.

    The movement of a feature is the root mean square over its landmarks, in x and y. Lengths are in u, the
    distance between the outer eye corners. ``before`` and ``after`` are in the head's frame.
    """
    moved = ((after - before)[:, :2] ** 2).sum(axis=1)
    return max(
        (float(np.sqrt(moved[list(group)].mean())), name)
        for name, group in FEATURES.items()
        if name not in features
    )


def optical_flow(before: Image, after: Image) -> NDArray[np.float32]:
    """Return the movement (H, W, 2) of each pixel's content, to the right and down, in pixels.

    The method is dense inverse search (T. Kroeger et al., ECCV 2016) at full resolution.

    Raises
    ------
    ValueError
        If the pictures are not `Image` arrays of the same size.
    """
    check_image(before)
    check_image(after)
    if before.shape != after.shape:
        raise ValueError(f"the pictures must have the same size, not {before.shape} and {after.shape}")
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    search.setPatchSize(8)
    search.setPatchStride(3)
    search.setGradientDescentIterations(32)
    search.setVariationalRefinementIterations(5)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after)]
    return np.asarray(search.calc(grey[0], grey[1], np.empty(0, np.float32)), np.float32)


def carried_landmarks(flow: NDArray[np.float32], landmarks: Points3, frame: HeadFrame) -> Points3:
    """Move ``landmarks`` (N, 3), in pixels, along ``flow`` (H, W, 2). Return them on the axes of ``frame``.

    The unit of the result is ``frame.unit`` pixels. A flow has no depth, so the landmarks move only in the
    head's frontal plane. The projection of this movement to the picture is the flow.
    """
    check_points(landmarks, 3, "landmarks")
    places = landmarks[None, :, :2].astype(np.float32)
    moved = cv2.remap(
        flow, places, np.empty(0, np.float32), interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )[0]
    # The projection of one u along the head's x and y, in pixels.
    seen = frame.axes[:2, :2] * frame.unit
    carried = frame.to_head(landmarks)
    carried[:, :2] += np.asarray(moved, np.float64) @ np.linalg.inv(seen)
    return carried


@dataclass(frozen=True)
class Effect:
    """The effect of one parameter on one picture.

    Attributes
    ----------
    change : float
        The change of the parameter's quantity, in the unit of the quantity.
    leak, leak_feature : float, str
        The largest movement of a feature that should not move, in distances between the outer eye corners,
        and the feature's name.
    changed_outside : int
        The number of pixels that changed farther than `REACH` from the face's outline.
    minimum_jacobian : float
        The warp's smallest Jacobian determinant. Above 0, the warp does not fold.
    """

    change: float
    leak: float
    leak_feature: str
    changed_outside: int
    minimum_jacobian: float


REACH = 0.8
"""Distance from the face's outline beyond which a reshape must not change any pixel.

The unit is u, the distance between the outer eye corners.
"""


def measured_effect(
    image: Image,
    landmarks: Points3,
    name: str,
    value: float,
    segment: Callable[[Image], Mask] | None = None,
) -> Effect:
    """Measure the effect of parameter ``name`` at ``value`` on the pixels of ``image`` (H, W, 3).

    With ``segment``, the background stays; see `emulator.face.background.person_share`.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, ``landmarks`` are not (478, 3) and finite, or ``value`` is out
        of range.
    """
    shape = image.shape[0], image.shape[1]
    field = reshape_field(landmarks, ReshapeParameters(**{name: value}), shape)
    share = None if segment is None else person_share(image, landmarks, field, segment)
    after = warp_image(image, field, share)
    frame = head_frame(landmarks)
    carried = carried_landmarks(optical_flow(image, after), landmarks, frame)
    resting = frame.to_head(landmarks)
    proportion = PROPORTIONS[name]
    leaked, feature = leak(resting, carried, proportion.features)
    hull = cv2.convexHull(landmarks[list(FACE_OVAL), :2].astype(np.float32))
    inside = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(hull).astype(np.int32), (1,))
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    changed = (after != image).any(axis=2) & (away > REACH * frame.unit)
    return Effect(
        proportion.change(resting, carried), leaked, feature, int(changed.sum()), minimum_jacobian(field)
    )


TEETH = 0.6
"""Half of the width in which `teeth_stretch` is measured, as a share of the distance from the middle of the
mouth to the corners of its opening."""


def teeth_stretch(field: DisplacementField, landmarks: Points3) -> float:
    """Return how much ``field`` stretches or compresses the middle of the mouth's opening.

    The result is the mean, over points between the lips, of the largest relative change of a length in any
    direction. It is 0 if teeth only slide, and NaN if the lips are closed. ``landmarks`` (478, 3) are in
    pixels, before the reshape.
    """
    corners = landmarks[[LIPS_INNER[0], LIPS_INNER[10]], :2]
    middle, half = corners.mean(axis=0), float(np.linalg.norm(corners[1] - corners[0])) / 2
    opening = np.zeros(field.shape, np.uint8)
    cv2.fillPoly(opening, [np.rint(landmarks[list(LIPS_INNER), :2]).astype(np.int32)], (1,))
    rows, columns = np.nonzero(opening)
    points = np.stack([columns, rows], axis=1).astype(np.float64)
    points = points[np.abs((points - middle) @ (corners[1] - corners[0])) < TEETH * 2 * half**2]
    slopes = [field.at(points + step) - field.at(points - step) for step in ([0.5, 0.0], [0.0, 0.5])]
    lengths = np.linalg.svd(np.eye(2) + np.stack(slopes, axis=2), compute_uv=False)
    return float(np.abs(lengths - 1.0).max(axis=1).mean()) if len(points) else float("nan")


def outline_motion(field: DisplacementField, landmarks: Points3) -> float:
    """Return the largest motion, in u, of the outline of the face and of places up to 0.2 u around it.

    The outline is the convex hull of the landmarks, which is also the visible outline of a turned head.
    ``landmarks`` (478, 3) are in pixels, before the reshape.
    """
    unit = head_frame(landmarks).unit
    hull = cv2.convexHull(landmarks[:SURFACE_COUNT, :2].astype(np.float32))[:, 0].astype(np.float64)
    around = np.concatenate([hull, hull[:1]])
    outline = np.concatenate(
        [around[:-1] + share * np.diff(around, axis=0) for share in (0.0, 0.25, 0.5, 0.75)]
    )
    outward = outline - outline.mean(axis=0)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    places = np.concatenate([outline + distance * unit * outward for distance in (0.0, 0.05, 0.1, 0.2)])
    return float(np.linalg.norm(field.at(places), axis=1).max()) / unit


def speckled(image: Image, grain: float, amplitude: float = 24.0, seed: int = 0) -> Image:
    """Return ``image`` with a fine random pattern added, so that optical flow is measurable.

    The skin of synthetic faces has too little texture for optical flow. Digital image correlation uses such
    patterns, too.

    Parameters
    ----------
    image : (H, W, 3) uint8
    grain : float
        The standard deviation, in pixels, of the blur that is applied to the noise.
    amplitude : float
        The standard deviation of the pattern, in grey levels.
    seed : int
    """
    noise = np.random.default_rng(seed).standard_normal(image.shape[:2]).astype(np.float32)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), grain))
    pattern = amplitude / noise.std() * noise[:, :, None]
    return np.asarray(np.clip(np.rint(image + pattern), 0, 255), np.uint8)


def _area(ring: tuple[int, ...]) -> Callable[[Points3], float]:
    def area(points: Points3) -> float:
        x, y = points[list(ring), 0], points[list(ring), 1]
        return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2

    return area


def _apart(pairs: tuple[tuple[int, int], ...], axis: int = 0) -> Callable[[Points3], float]:
    """Return a function that computes the mean distance between the points of all pairs, along ``axis``.

    A distance is positive if the first point of the pair has the larger coordinate.
    """
    return lambda points: float(
        np.mean([points[first, axis] - points[second, axis] for first, second in pairs])
    )


def _tilt(points: Points3) -> float:
    """Return the mean tilt of the eyes in degrees, positive with the outer corners up."""
    left, right = points[263] - points[362], points[33] - points[133]
    return float(np.rad2deg(np.arctan2(left[1], left[0]) + np.arctan2(right[1], -right[0]))) / 2


def _eye_distance(points: Points3) -> float:
    return float(points[list(LEFT_EYE), 0].mean() - points[list(RIGHT_EYE), 0].mean())


_EYES = ("left eye", "right eye")
_OUTLINE, _NOSE, _LIPS = ("outline",), ("nose",), ("lips",)

PROPORTIONS: Mapping[str, Proportion] = MappingProxyType(
    {
        "cheekbones": Proportion("width at the cheekbones", _apart(((454, 234),)), "u", -2 * 0.055, _OUTLINE),
        "jaw": Proportion("width at the jaw's corners", _apart(((397, 172),)), "u", -2 * 0.08, _OUTLINE),
        "face_reshape_left": Proportion("left side's width", lambda p: float(p[454, 0]), "u", 0.08, _OUTLINE),
        "face_reshape_right": Proportion(
            "right side's width", lambda p: -float(p[234, 0]), "u", 0.08, _OUTLINE
        ),
        "face_width": Proportion("face's width", _apart(((454, 234),)), "u", 2 * 0.10, _OUTLINE),
        "chin_reshape_left": Proportion(
            "left half of the chin", _apart(((378, 152),)), "share", 0.17, _OUTLINE
        ),
        "chin_reshape_right": Proportion(
            "right half of the chin", _apart(((152, 149),)), "share", 0.17, _OUTLINE
        ),
        "chin_length": Proportion("chin below the eyes", lambda p: -float(p[152, 1]), "u", 0.085, _OUTLINE),
        "eye_size_left": Proportion("left eye's area", _area(LEFT_EYE), "share", 0.26, _EYES[:1]),
        "eye_size_right": Proportion("right eye's area", _area(RIGHT_EYE), "share", 0.26, _EYES[1:]),
        "eye_width": Proportion("eyes' width", _apart(((263, 362), (133, 33))), "share", 0.14, _EYES),
        "eye_height": Proportion("eyes' height", _apart(((386, 374), (159, 145)), 1), "share", 0.22, _EYES),
        "eye_distance": Proportion("distance of the eyes' centres", _eye_distance, "u", 0.10, _EYES),
        "eye_angle": Proportion("tilt, outer corners up", _tilt, "deg", 5.0, _EYES),
        "nose_bridge_width": Proportion("bridge's width", _apart(((419, 196),)), "share", 0.21, _NOSE),
        "nose_lift": Proportion("height of the nose's base", lambda p: float(p[2, 1]), "u", 0.045, _NOSE),
        "nose_size": Proportion("nose's width", _apart(((279, 49),)), "share", 0.13, _NOSE),
        "nose_tip": Proportion("tip below the eyes", lambda p: -float(p[4, 1]), "u", 0.035, _NOSE),
        "nose_tip_width": Proportion("tip's width", _apart(((274, 44),)), "share", 0.18, _NOSE),
        "nose_wing": Proportion("width at the wings", _apart(((279, 49),)), "share", 0.17, _NOSE),
        "lip_size": Proportion("lips' area", _area(LIPS_OUTER), "share", 0.26, _LIPS),
        "lip_width": Proportion("mouth's width", _apart(((291, 61),)), "share", 0.14, _LIPS),
        "lip_height_top": Proportion("upper lip's height", _apart(((0, 13),), 1), "share", 0.36, _LIPS),
        "lip_height_bottom": Proportion("lower lip's height", _apart(((14, 17),), 1), "share", 0.36, _LIPS),
        "lip_peak": Proportion(
            "peaks' height over the dip", _apart(((267, 0), (37, 0)), 1), "u", 0.033, _LIPS
        ),
    }
)
"""The quantity that each parameter changes. The intended changes are this project's choice."""
