"""Visible attributes of a person, measured from one picture.

These are plausible measurements. There are no trained classifiers.

- Colours are medians of pixels, under the light of the picture.
- The length of the hair depends on whether pixels of the hair's colour reach below the chin.
- The texture of the hair depends on whether edges in the hair are parallel.
- Glasses are detected as lines across the nose bridge and below an eye.
- The gender is a guess from the shape of the head, the hair and a beard. It is often wrong, so a tester who
  needs a certain gender should set it in the vendor's settings.

All measurements use an upright crop of fixed size in the head's own frame: x to the person's left, y up.
Lengths are in u, the distance between the outer eye corners. So the results depend little on the tilt of
the head and the size of the picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.appearance import Attributes, Color, Gender, HairLength, HairTexture
from emulator.face.canonical import canonical_mesh
from emulator.face.fit import HeadFit, fit_head
from emulator.face.head_frame import HeadFrame, head_frame
from emulator.face.landmarks import (
    CHIN_TIP,
    FACE_OVAL,
    LEFT_CHEEK,
    LEFT_EYE,
    LEFT_EYEBROW,
    LEFT_JAW,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LIPS_OUTER,
    LOWER_LIP_OUTER,
    NOSE_BRIDGE,
    RIGHT_CHEEK,
    RIGHT_EYE,
    RIGHT_EYEBROW,
    RIGHT_JAW,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_OUTER,
)
from emulator.face.resampling import part_for
from emulator.face.skin import skin_mask
from emulator.face.types import Image, Mask, Matrix, Points2, Points3, check_image

# Pixels of the crop per u. Distances, in u, from the point between the eyes to the sides, the top and the
# bottom of the crop.
_SCALE = 52
_ASIDE, _ABOVE, _BELOW = 2.0, 2.0, 3.0

# Within this distance, in u, from the picture's border, colours are mixed with the black outside the picture.
_BORDER = 0.06

# Gap between the lids divided by the width of the eye, for normally open eyes.
_TYPICAL_OPENING = 0.29

# Hair is wavy if the coherence of its edges, 0 to 1, is at most this. In 49 pictures of synthetic people with
# short hair, it was at most 0.482 for wavy hair, and at least 0.494 for straight hair.
_COHERENT = 0.488

# In pictures of straight hair, 0 to 15 % of the hair deviates from its main direction by more than
# `_TURN_DEG`. In pictures of wavy hair, 24 to 70 % does. `_WAVES` is the threshold between these shares.
_TURN_DEG = 12.0
_WAVES = 0.2

# A frame of glasses shows two lines: one at the nose bridge and one below the lid. Each line must have a
# contrast above `_EITHER_FRAME`, and the geometric mean of the two contrasts must be above `_FRAME`. In 130
# synthetic faces without glasses, the mean is at most 0.11. In 70 of 72 faces with glasses, the mean is more
# than 0.15.
_FRAME = 0.15
_EITHER_FRAME = 0.1
# A contrast is a difference of luminances (0 to 255) divided by the luminance, or by this number if the
# luminance is lower. This keeps noise in dark skin from having a high contrast.
_NOISE_FLOOR = 8.0

# A colour that is farther than this from the skin colour is not skin. The distance is in CIELAB, with less
# weight on lightness. The limit is lower for skin with a lightness below `_DARK_SKIN`.
_UNLIKE_SKIN = 14.0
_DARK_SKIN = 45.0

# If at most this share of the background within `_BACKDROP` u of the face has the colour of the hair, the
# colour alone is enough to recognise hair.
_BACKDROP = 1.2
_SHARED_COLOR = 0.03

# Hair that falls beside the face is at most this far from the face, in u. Clothes reach farther.
_FALLING = 1.2

# Width of a strand, in u.
_STRAND = 0.08

# A head hides much of its far side if the sine of its yaw is above this (9 degrees).
_TURNED = 0.15

# Largest gap, in u, between the hair on the head and a separate tail of hair.
_GAP = 0.55


@dataclass(frozen=True, eq=False)
class _Crop:
    """An upright crop of a head, with masks and landmarks."""

    image: Image
    person: Mask
    """The mask of the person, 0 to 1. It is negative outside the picture, where the crop is black."""

    skin: Mask
    landmarks: Points2
    """(478, 2), in pixels of the crop."""

    luma: NDArray[np.float32]
    oval: NDArray[np.bool_]
    """True inside the outline of the face."""

    away: NDArray[np.float32]
    """Distance from the outline of the face, in pixels; 0 inside."""

    turn: float
    """Sine of the yaw. It is positive if the nose points to the right of the picture."""

    def y(self, height: float) -> int:
        """Return the row of the crop at ``height`` above the eyes.

        The unit of ``height`` is u, the distance between the outer eye corners.
        """
        return round((_ABOVE - height) * _SCALE)


def face_attributes(
    image: Image, landmarks: Points3, person_mask: Mask, fit: HeadFit | None = None
) -> Attributes:
    """Measure the attributes of the person with ``landmarks`` in ``image``.

    Parameters
    ----------
    image : (H, W, 3) uint8
    landmarks : (478, 3) float64
        In pixels.
    person_mask : (h, w) float32
        1 where the image shows the person, otherwise 0, with values in between at edges. It covers the whole
        image, and can have fewer pixels.
    fit : HeadFit, optional
        The fit of ``landmarks``, if it was computed before.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, ``landmarks`` are not (478, 3) and finite, or ``person_mask`` is empty
        or larger than the image.
    """
    check_image(image)
    if person_mask.size == 0 or (np.array(person_mask.shape) > image.shape[:2]).any():
        raise ValueError(f"person_mask must be up to {image.shape[:2]}, not {person_mask.shape}")
    frame = head_frame(landmarks)
    crop = _upright_crop(image, landmarks, person_mask, frame)
    skin = _skin_color(crop)
    hair, tails, color = _hair(crop, skin)
    length = _hair_length(crop, hair | tails)
    head = (fit_head(landmarks) if fit is None else fit).mesh.vertices
    return Attributes(
        skin_color=skin,
        hair_color=color,
        hair_length=length,
        hair_texture=_hair_texture(crop, hair, hair | tails if length == "long" else None),
        gender=_gender_guess(crop, head, length, float(hair.sum() / max(crop.oval.sum(), 1))),
        glasses=_has_glasses(crop),
        blink_correction=blink_correction(landmarks),
    )


def has_glasses(image: Image, landmarks: Points3) -> bool:
    """Return whether the person with ``landmarks`` (478, 3) in ``image`` (H, W, 3) wears glasses.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or ``landmarks`` are not (478, 3) and finite.
    """
    check_image(image)
    everything = np.ones((1, 1), np.float32)
    return _has_glasses(_upright_crop(image, landmarks, everything, head_frame(landmarks)))


def blink_correction(landmarks: Points3) -> float:
    """Return how wide the eyes are open, 0.9 to 1.1: 1 at a typical opening of the lids.

    The opening is the mean gap between the lids divided by the width of the eye, averaged over both eyes.
    Lengths are measured in three dimensions, because the eyes of a turned head look narrower in the picture.
    """
    openings = []
    for upper, lower in ((LEFT_UPPER_LID, LEFT_LOWER_LID), (RIGHT_UPPER_LID, RIGHT_LOWER_LID)):
        width = np.linalg.norm(landmarks[upper[0]] - landmarks[upper[-1]])
        middle = slice(3, -3)
        gaps = np.linalg.norm(landmarks[list(upper[middle])] - landmarks[list(lower[middle])], axis=1)
        openings.append(float(gaps.mean() / max(float(width), 1e-6)))
    relative = float(np.mean(openings)) / _TYPICAL_OPENING - 1.0
    return 1.0 + 0.1 * float(np.tanh(relative))


def _upright_crop(image: Image, landmarks: Points3, person_mask: Mask, frame: HeadFrame) -> _Crop:
    up = frame.axes[1, :2] / max(float(np.linalg.norm(frame.axes[1, :2])), 1e-6)
    scale = _SCALE / frame.unit
    # Maps the picture's x and y to the crop's x and y, both with y down.
    linear = scale * np.array([[-up[1], up[0]], [-up[0], -up[1]]])
    offset = np.array([_ASIDE, _ABOVE]) * _SCALE - linear @ frame.origin[:2]
    size = round(2 * _ASIDE * _SCALE) + 1, round((_ABOVE + _BELOW) * _SCALE) + 1
    back = np.linalg.inv(linear)
    to_picture = np.column_stack([back, -back @ offset])
    cropped = part_for(image, to_picture, *size).sample(to_picture, *size, cv2.BORDER_CONSTANT)
    person = _sampled_mask(person_mask, to_picture, image.shape, size)
    moved = np.column_stack([landmarks[:, :2] @ linear.T + offset, landmarks[:, 2] * scale])
    # Ignore landmarks near or beyond the border, because the black there is not skin.
    border = _BORDER * frame.unit
    end = np.array(image.shape[1::-1]) - 1 - border
    seen = ((landmarks[:, :2] >= border) & (landmarks[:, :2] <= end)).all(axis=1)
    oval = _filled(cropped.shape, moved[:, :2], [FACE_OVAL])
    return _Crop(
        image=cropped,
        person=person,
        skin=skin_mask(cropped, moved, seen),
        landmarks=moved[:, :2],
        luma=np.asarray(cv2.cvtColor(cropped, cv2.COLOR_RGB2GRAY), dtype=np.float32),
        oval=oval,
        away=np.asarray(
            cv2.distanceTransform((~oval).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), dtype=np.float32
        ),
        turn=float(frame.axes[2, 0]),
    )


def _sampled_mask(mask: Mask, to_picture: Matrix, shape: tuple[int, ...], size: tuple[int, int]) -> Mask:
    """Return a crop of a mask that covers a picture of a shape (height, width). It is -1 outside the picture.

    ``to_picture`` maps (x, y, 1) in the crop, which has the width and height ``size``, to the picture.
    """
    pitch = np.array([[shape[1] / mask.shape[1]], [shape[0] / mask.shape[0]]])
    # Pixel centres are at integers, so the first pixel of the mask is at (pitch - 1) / 2 in the picture.
    to_mask = (to_picture - np.hstack([np.zeros((2, 2)), (pitch - 1.0) / 2])) / pitch
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    person = np.asarray(cv2.warpAffine(mask, to_mask, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))
    # Outside the picture there is neither person nor background.
    columns, rows = np.arange(size[0]), np.arange(size[1])[:, None]
    for (across, down, start), end in zip(to_picture.tolist(), (shape[1] - 1, shape[0] - 1), strict=True):
        place = across * columns + (down * rows + start)
        person[(place < 0) | (place > end)] = -1.0
    return person.astype(np.float32, copy=False)


def _skin_color(crop: _Crop) -> Color:
    """Return the median colour (3,) of cheeks and forehead, without shadows and highlights.

    If the picture shows too little of cheeks and forehead, use the whole face. If the picture shows no part
    of the face, use the whole crop.
    """
    forehead = (*LEFT_EYEBROW[:5], *RIGHT_EYEBROW[:5], 10, 109, 338, 108, 337, 151)
    areas = _filled(crop.image.shape, crop.landmarks, [LEFT_CHEEK, RIGHT_CHEEK, forehead])
    shown = crop.person >= 0.0
    pixels = crop.image[areas & shown & (crop.skin > 0.5)]
    if len(pixels) < 30:
        pixels = crop.image[crop.oval & shown]
    if len(pixels) == 0:
        pixels = crop.image[shown]
    return _robust_color(pixels, 0.3, 0.8)


def _robust_color(pixels: NDArray[np.uint8], low: float, high: float) -> Color:
    """Return the median (3,) of those pixels (N, 3) that have a luminance between two quantiles."""
    if len(pixels) == 0:
        return np.zeros(3, dtype=np.uint8)
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    lowest, highest = np.quantile(luma, (low, high))
    kept = pixels[(luma >= lowest) & (luma <= highest)]
    color: Color = np.rint(np.median(kept, axis=0)).astype(np.uint8)
    return color


def _filled(shape: tuple[int, ...], points: Points2, rings: list[tuple[int, ...]]) -> NDArray[np.bool_]:
    plane = np.zeros(shape[:2], dtype=np.uint8)
    for ring in rings:
        cv2.fillPoly(plane, [cv2.convexHull(np.rint(points[list(ring)]).astype(np.int32))], (1,))
    return plane.astype(bool)


def _lab_planes(image: Image) -> list[NDArray[np.float32]]:
    """Return the CIELAB planes (H, W) of an image, accurate to 0.5 in L and 1 in a and b."""
    # OpenCV converts 8-bit channels with tables, ten times as fast as floats.
    light, green_red, blue_yellow = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
    return [
        light.astype(np.float32) * np.float32(100 / 255),
        green_red.astype(np.float32) - np.float32(128),
        blue_yellow.astype(np.float32) - np.float32(128),
    ]


def _hair(crop: _Crop, skin: Color) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Color]:
    """Return the masks (rows, columns) of hair on the head and of separate tails of hair, and the colour.

    The colour is measured in a band around the upper half of the face, on pixels of the person that do not
    have the colour of the skin. Areas of this colour that are connected to the band are the hair on the head.
    Other areas of this colour near this hair are tails, which an ear or a shoulder separates from the hair on
    the head.
    """
    oval, away = crop.oval, crop.away
    band = (away > 0.06 * _SCALE) & (away <= 0.45 * _SCALE)
    # Use only the part above the ears.
    band[crop.y(0.15) :] = False
    band &= crop.person > 0.7
    # Blur slightly, so that single strands do not matter and the sharpness of the picture matters little.
    planes = _lab_planes(cv2.GaussianBlur(crop.image, (0, 0), 1.2).astype(np.uint8, copy=False))
    skin_lab = [plane.item() for plane in _lab_planes(skin.reshape(1, 1, 3))]
    # Lower the limit for dark skin, because the distance between black hair and dark skin is only about the
    # lightness of the skin.
    apart = _UNLIKE_SKIN * float(np.clip((skin_lab[0] / _DARK_SKIN) ** 1.5, 0.3, 1.0))
    unlike_skin = _squared_distance(planes, skin_lab, (1 / 0.6, 1.0, 1.0)) > apart**2
    seed = band & unlike_skin
    # On a bald head, the band shows the scalp.
    if seed.sum() < 0.15 * max(int(band.sum()), 1):
        seed = band
    if not seed.any():
        return seed, seed, skin
    color = _robust_color(crop.image[seed], 0.15, 0.75)

    # Hair has shades, so scale the distance by the spread of colours in the band.
    seeds = [plane[seed] for plane in planes]
    center = [float(np.median(values)) for values in seeds]
    spread = [float(np.median(np.abs(v - c))) for v, c in zip(seeds, center, strict=True)]
    tolerance = 2.2 * np.maximum(1.4826 * np.array(spread), (8.0, 3.0, 4.0))
    alike = _squared_distance(planes, center, tolerance) < 3.0
    belongs = crop.person > 0.5
    behind = (crop.person >= 0.0) & (crop.person < 0.1)
    # At the forehead and above, the segmentation misses little of the person, so the rest is background.
    backdrop = behind & (away <= _BACKDROP * _SCALE)
    backdrop[crop.y(0.0) :] = False
    if np.count_nonzero(alike & backdrop) <= _SHARED_COLOR * np.count_nonzero(backdrop):
        # The segmentation often misses hanging hair. If the background has other colours, colour is enough.
        belongs |= (crop.person >= 0.0) & (away <= 0.7 * _SCALE)
    alike &= belongs & unlike_skin & ~oval
    closed = cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    closed = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, components = cv2.connectedComponents(closed.astype(np.uint8))
    labels = np.asarray(components, dtype=np.int32)
    rooted = _chosen(labels, seed, count)
    # An ear or a shoulder can separate a tail from the hair on the head.
    from_hair = cv2.distanceTransform((~rooted).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    beside = (from_hair <= _GAP * _SCALE) & (away <= 0.6 * _SCALE)
    return rooted, _chosen(labels, beside, count), color


def _squared_distance(
    planes: Sequence[NDArray[np.float32]], center: Iterable[float], tolerance: Iterable[float]
) -> NDArray[np.float32]:
    """Return the squared distance (H, W) of colours from ``center``.

    The difference in each plane is divided by the plane's ``tolerance``.
    """
    total = np.zeros_like(planes[0])
    for plane, middle, width in zip(planes, center, tolerance, strict=True):
        away = (plane - np.float32(middle)) * np.float32(1.0 / width)
        total += away * away
    return total


def _chosen(labels: NDArray[np.int32], where: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Return the mask of those connected components in ``labels`` that have a pixel in ``where``."""
    kept = np.bincount(labels[where], minlength=count) > 0
    kept[0] = False
    chosen: NDArray[np.bool_] = kept[labels]
    return chosen


def _hair_length(crop: _Crop, hair: NDArray[np.bool_]) -> HairLength:
    """Return 'long' if hair falls beside the jaw on both sides, 'ponytail' for one side, else 'short'.

    A side counts if at least three quarters of the rows from the mouth to slightly below the chin show hair
    beside the face. The hair must be at least as wide as a strand. It must end near the face, because dark
    clothes reach farther. A turned head hides its far side. So the hair of a turned head is also long if it
    falls beside the jaw and covers the ear on the near side. A ponytail leaves the ear free.
    """
    oval = crop.landmarks[list(FACE_OVAL)]
    mouth = int(crop.landmarks[list(LIPS_OUTER), 1].mean())
    end = int(crop.landmarks[CHIN_TIP, 1]) + round(0.2 * _SCALE)
    far, near = crop.away > _FALLING * _SCALE, crop.away <= 0.15 * _SCALE
    ears = slice(crop.y(-0.15), mouth)
    middle = round(float(oval[:, 0].mean()))
    reaching, covering = [], []
    for half in (slice(None, middle), slice(middle, None)):
        rows = hair[mouth:end, half]
        broad = rows.sum(axis=1) >= _STRAND * _SCALE
        reaching.append(_share(broad & ~(rows & far[mouth:end, half]).any(axis=1)) >= 0.75)
        beside = hair[ears, half] & near[ears, half]
        covering.append(_share(beside.sum(axis=1) >= _STRAND * _SCALE) >= 0.75)
    # If the head is turned to its left, the near side is its right, which is the left of the picture.
    nearer = 0 if crop.turn > 0 else 1
    if abs(crop.turn) > _TURNED and reaching[nearer] and covering[nearer]:
        return "long"
    lengths: tuple[HairLength, ...] = ("short", "ponytail", "long")
    return lengths[sum(reaching)]


def _share(rows: NDArray[np.bool_]) -> float:
    return float(rows.mean()) if len(rows) else 0.0


def _hair_texture(crop: _Crop, hair: NDArray[np.bool_], falling: NDArray[np.bool_] | None) -> HairTexture:
    """Return 'straight' if neighbouring strands are parallel, else 'wavy'.

    The coherence of the structure tensor (Bigun 1987) is near 1 where edges are parallel, and near 0 where
    they run in all directions. The coherence is averaged over a third of the distance between the outer eye
    corners. Long waves can be parallel, too. So long hair, with the mask ``falling``, is also wavy if much of
    it deviates from its main direction.
    """
    inner = cv2.erode(hair.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    if inner.sum() < 100:
        return "straight"
    slopes = [
        np.asarray(cv2.Sobel(crop.luma, cv2.CV_32F, *order), dtype=np.float32) for order in ((1, 0), (0, 1))
    ]
    # Half the resolution is enough for averages over a third of u.
    xx, yy, xy, inner = _structure(slopes, inner, 0.075)
    energy = xx + yy
    coherence = np.sqrt((xx - yy) ** 2 + 4 * xy * xy) / np.maximum(energy, 1e-6)
    if float(np.average(coherence[inner], weights=energy[inner] + 1e-6)) <= _COHERENT:
        return "wavy"
    return "wavy" if falling is not None and _turning(crop, slopes, falling) > _WAVES else "straight"


def _structure(
    slopes: Sequence[NDArray[np.float32]], inner: NDArray[np.bool_], sigma: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return xx, yy and xy of the structure tensor in the mask ``inner``, and the mask itself.

    All have half the resolution. The tensor is averaged with a Gaussian. The standard deviation ``sigma`` of
    the Gaussian is a fraction of the distance between the outer eye corners.
    """
    dx, dy = (slope * inner for slope in slopes)
    half = (inner.shape[1] // 2, inner.shape[0] // 2)
    xx, yy, xy = (
        np.asarray(
            cv2.GaussianBlur(cv2.resize(product, half, interpolation=cv2.INTER_AREA), (0, 0), sigma * _SCALE),
            dtype=np.float32,
        )
        for product in (dx * dx, dy * dy, dx * dy)
    )
    small = cv2.resize(inner.astype(np.uint8), half, interpolation=cv2.INTER_NEAREST)
    return xx, yy, xy, small.astype(bool)


def _turning(crop: _Crop, slopes: Sequence[NDArray[np.float32]], falling: NDArray[np.bool_]) -> float:
    """Return the share of the hair below the eyes that deviates from its main direction by over `_TURN_DEG`.

    Only the side with more hair counts. `_TURN_DEG` is so large that curls at the tips are ignored, and so is
    hair that falls over a shoulder.
    """
    rows = slice(crop.y(-0.1), crop.y(-1.6))
    inner = cv2.erode(falling[rows].astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    middle = round(float(crop.landmarks[CHIN_TIP, 0]))
    left = int(inner[:, :middle].sum()) > int(inner[:, middle:].sum())
    columns = slice(None, middle) if left else slice(middle, None)
    if inner[:, columns].sum() < 300:
        return 0.0
    xx, yy, xy, small = _structure(
        [slope[rows, columns] for slope in slopes], np.ascontiguousarray(inner[:, columns]), 0.025
    )
    # A complex number with twice the angle of the strand, so that up and down are the same direction.
    along = (xx - yy + 2j * xy)[small]
    strength = np.abs(along)
    energy = (xx + yy)[small]
    weight = strength**2 / np.maximum(energy, 1e-6) ** 1.5
    directions = along / np.maximum(strength, 1e-6)
    mean = (weight * directions).sum()
    away = np.abs(np.angle(directions * np.conj(mean)))
    return float(weight[away > 2 * np.radians(_TURN_DEG)].sum() / max(float(weight.sum()), 1e-6))


def _gender_guess(crop: _Crop, head: Points3, length: HairLength, hair_share: float) -> Gender:
    """Guess the gender from the shape of the head, the hair and a beard.

    In the average female face, the brows are higher above the eyes, the jaw is narrower and the lips are
    fuller (Farkas 1994, Anthropometry of the Head and Face), and the hair is usually longer and fuller. A
    beard is evidence for a man. Individuals overlap widely, so this is only a plausible guess. The weights
    and limits were chosen by hand on 360 pictures of 60 synthetic people, not those of the benchmarks, and on
    a handful of photographs. The repository has no program that repeats the choice.

    The shape is taken from the fitted head. Between pictures of one person with different poses and
    expressions, the fitted head changes less than the landmarks. ``hair_share`` depends on how much of the
    hair the picture shows, so its influence is limited.

    Parameters
    ----------
    crop : _Crop
    head : (468, 3) float64
        The vertices of the fitted head, without expression.
    length : {'short', 'long', 'ponytail'}
    hair_share : float
        Area of the hair divided by the area of the face.
    """
    brows, jaw, lips = _gender_traits(head) - _gender_traits(canonical_mesh().vertices)
    score = 20.0 * brows - 6.0 * jaw + 11.5 * lips
    score += 0.6 * float(np.clip((hair_share - 0.6) / 0.2, -1.0, 1.0))
    score += (0.0 if length == "short" else 1.2) - _beard(crop) + _BALANCE
    return "female" if score > 0 else "male"


# Added to the score, so that women and men among synthetic people are recognised equally often.
_BALANCE = -0.5


def _gender_traits(head: Points3) -> NDArray[np.float64]:
    """Return the height of the brows, the width of the jaw and the height of the lips (3,), in u."""
    unit = np.linalg.norm(head[LEFT_EYE[0]] - head[RIGHT_EYE[0]])
    brows = np.mean([head[list(b), 1].mean() - head[list(e), 1].mean() for b, e in _BROWS_OVER_EYES])
    jaw = np.linalg.norm(head[_JAW_CORNERS[0]] - head[_JAW_CORNERS[1]])
    lips = np.linalg.norm(head[UPPER_LIP_OUTER[5]] - head[LOWER_LIP_OUTER[5]])
    traits: NDArray[np.float64] = np.array([brows, jaw, lips]) / unit
    return traits


_BROWS_OVER_EYES = ((LEFT_EYEBROW, LEFT_EYE), (RIGHT_EYEBROW, RIGHT_EYE))
_JAW_CORNERS = (LEFT_JAW[4], RIGHT_JAW[4])


def _beard(crop: _Crop) -> float:
    """Return the evidence for a beard, 0 to 3: how much darker upper lip and chin are than the cheeks.

    Both lip and chin must be darker, because a shadow of the nose or of the chin darkens only one of them.
    The result is 0 if the picture does not show upper lip, chin and cheeks.
    """
    light, _, _ = _lab_planes(cv2.GaussianBlur(crop.image, (0, 0), 1.5).astype(np.uint8, copy=False))
    cheeks, lip, chin = (_light(crop, light, places) for places in (_BARE_CHEEKS, _MOUSTACHE, _CHIN_BEARD))
    if cheeks is None or lip is None or chin is None:
        return 0.0
    darker = np.log((cheeks + 5.0) / (max(lip, chin) + 5.0))
    return float(np.clip((darker - 0.12) / 0.1, 0.0, 3.0))


_BARE_CHEEKS = (50, 101, 36, 117, 118, 280, 330, 266, 346, 347)
_MOUSTACHE = (164, 167, 393, 165, 391, 92, 322)
_CHIN_BEARD = (152, 175, 199, 200, 208, 428, 171, 396, 201, 421, 32, 262, 140, 369)


def _light(crop: _Crop, plane: NDArray[np.float32], places: tuple[int, ...]) -> float | None:
    """Return the median lightness at landmarks, 0 to 100, or None if the picture does not show them."""
    column, row = cv2.split(crop.landmarks[list(places)].astype(np.float32)[:, None])
    shown = cv2.remap(crop.person, column, row, cv2.INTER_NEAREST, borderValue=(-1.0,)) >= 0.0
    values = np.asarray(cv2.remap(plane, column, row, cv2.INTER_NEAREST))[shown]
    return float(np.median(values)) if len(values) else None


def _has_glasses(crop: _Crop) -> bool:
    """Return whether the frame of glasses crosses both the nose bridge and the skin below an eye.

    Bare skin is smooth there, and a frame is a line across it. Only the eye that appears wider is used,
    because in a turned head, the frame can be in front of the far eye or beside the face.
    """
    points = crop.landmarks
    # Start below the brows, which may meet, and end above the tip of the nose.
    top = points[[_BETWEEN_BROWS, NOSE_BRIDGE[0]]].mean(axis=0)
    bridge = _line_contrast(crop, top, points[NOSE_BRIDGE[3]], 0.04)
    lids = max(
        (LEFT_LOWER_LID, RIGHT_LOWER_LID),
        key=lambda lid: float(np.linalg.norm(points[lid[0]] - points[lid[-1]])),
    )
    lid = points[list(lids[3:6])].mean(axis=0)
    # Start below the lashes, and end where the lowest frames end.
    down = np.array([0.0, _SCALE])
    below = _line_contrast(crop, lid + 0.05 * down, lid + 0.33 * down, 0.07)
    return min(bridge, below) > _EITHER_FRAME and bridge * below > _FRAME**2


_BETWEEN_BROWS = 9


def _line_contrast(crop: _Crop, start: NDArray[np.float64], end: NDArray[np.float64], aside: float) -> float:
    """Return the contrast of the clearest line that crosses a strip of the crop.

    The strip goes from ``start`` to ``end``, in pixels of the crop. It extends to both sides by ``aside``, a
    fraction of the distance between the outer eye corners. The luminance is averaged across the strip. The
    contrast is the largest relative deviation of this mean from its running median along the strip. It is 0
    if a part of the strip is outside the picture.
    """
    along = end - start
    length = max(float(np.linalg.norm(along)), 1e-6)
    across = np.array([-along[1], along[0]]) / length
    offsets = np.linspace(-aside, aside, round(2 * aside * _SCALE) + 1) * _SCALE
    # In a face seen from below, the strip can be very short. Sample it in at least 8 places.
    steps = np.linspace(0.0, 1.0, max(round(length), 8))
    places = start + steps[:, None, None] * along + offsets[None, :, None] * across
    column, row = cv2.split(places.astype(np.float32))
    shown = cv2.remap(crop.person, column, row, cv2.INTER_NEAREST, borderValue=(-1.0,))
    if shown.min() < 0.0:
        return 0.0
    profile = cv2.remap(crop.luma, column, row, cv2.INTER_LINEAR).mean(axis=1, dtype=np.float64)
    half = round(0.08 * _SCALE)
    padded = np.pad(profile, half, mode="edge")
    running = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    return float((np.abs(profile - running) / np.maximum(running, _NOISE_FLOOR)).max())
