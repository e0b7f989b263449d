"""Resampling of a picture by a displacement field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.displacement import INVISIBLE, DisplacementField, Grid, is_moving
from emulator.face.types import Image, check_image

Alpha: TypeAlias = NDArray[np.uint8]

# Steps of the sampling lattice between two nodes. The spline is evaluated on the lattice and interpolated
# linearly in between, with an error below a twentieth of a pixel.
_LATTICE_PER_NODE = 2.5

# Steps of the lattice between two nodes of a field with a `Share`: more, because the share changes faster
# than the field.
_SHARED_LATTICE_PER_NODE = 4.0

# Rows that are resampled at a time, to bound the memory for pictures of 4096 pixels.
_STRIP_ROWS = 128


@dataclass(frozen=True, eq=False)
class Share:
    """The fraction of a field's displacement that is applied at each place of a picture.

    Attributes
    ----------
    origin : (float, float)
        x and y of the first value, in pixels.
    pitch : (float, float)
        The distances between values along x and y, in pixels.
    values : (rows, columns) float32
        0 to 1, on a regular grid. Between the values, the share is interpolated linearly. Outside the grid,
        the share is the nearest value of the grid.
    """

    origin: tuple[float, float]
    pitch: tuple[float, float]
    values: NDArray[np.float32]

    def sampled(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float32]:
        """Return the share (len(y), len(x)) at columns ``x`` and rows ``y``, in pixels."""
        across = ((x - self.origin[0]) / self.pitch[0]).astype(np.float32)
        down = ((y - self.origin[1]) / self.pitch[1]).astype(np.float32)
        places = np.stack(np.broadcast_arrays(across, down[:, None]), axis=-1)
        sampled = cv2.remap(
            self.values,
            places,
            np.empty(0, np.float32),
            interpolation=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(sampled, np.float32)


def warp_image(image: Image, field: DisplacementField, share: Share | None = None) -> Image:
    """Return ``image`` (H, W, 3) warped by ``field``, with bicubic interpolation.

    With a ``share``, only this fraction of its displacement is applied to each pixel. Pixels that do not move
    are bit-identical to the input.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or the field has another size.
    """
    check_image(image)
    if image.shape[:2] != field.shape:
        raise ValueError(f"the field is for {field.shape}, the image is {image.shape[:2]}")
    warped = image.copy()
    for rows, columns, source in _sources(field, share):
        warped[rows, columns] = _resampled(image, source)
    return warped


def warp_cutout(
    image: Image, alpha: NDArray[np.uint8], field: DisplacementField, share: Share | None = None
) -> tuple[Image, Alpha]:
    """Return ``image`` (H, W, 3) and its opacity ``alpha`` (H, W), both warped by ``field``.

    Like `warp_image`, but colours are weighted by their opacity, so that invisible colours do not
    bleed into visible pixels.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or ``alpha`` or the field has another size.
    """
    check_image(image)
    if not image.shape[:2] == alpha.shape == field.shape:
        raise ValueError(f"the field is for {field.shape}, the picture is {image.shape[:2]}, {alpha.shape}")
    warped, warped_alpha = image.copy(), alpha.copy()
    opacity = alpha.astype(np.float32)
    weighted = image * opacity[:, :, None]
    for rows, columns, source in _sources(field, share):
        still = _still(source, rows, columns)
        coverage = _resampled(opacity, source)
        colour = _resampled(weighted, source) / np.maximum(coverage, 0.5)[:, :, None]
        moved = ~still & (coverage >= 0.5)
        warped[rows, columns][moved] = np.clip(np.rint(colour[moved]), 0, 255).astype(np.uint8)
        warped_alpha[rows, columns][~still] = np.clip(np.rint(coverage[~still]), 0, 255).astype(np.uint8)
    return warped, warped_alpha


def _sources(
    field: DisplacementField, share: Share | None = None
) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
    """Yield the parts of the picture that move: rows, columns, and the positions (h, w, 2) of their sources.

    The spline is evaluated on a lattice with steps of a few pixels. In between, the positions are
    interpolated linearly. For pixels that do not move, the error of the interpolation is too small to change
    the resampled picture.
    """
    if field.is_zero:
        return
    per_node = _LATTICE_PER_NODE if share is None else _SHARED_LATTICE_PER_NODE
    step = max(1, int(field.pitch / per_node))
    rows, columns = field.pixels
    # One more sample on each side, so that every pixel lies between samples.
    first_row, first_column = rows.start // step - 1, columns.start // step - 1
    x, y = _lattice(first_column, columns.stop, step), _lattice(first_row, rows.stop, step)
    lattice = field.sampled(x, y)
    if share is not None:
        lattice *= share.sampled(x, y)[:, :, None]
    moves = is_moving(lattice)
    lattice[:, :, 0] += x
    lattice[:, :, 1] += y[:, None]
    height = max(1, _STRIP_ROWS // step)
    for upper in range(0, len(y) - 2, height):
        # A strip of lattice rows, and the rows next to it.
        strip = slice(upper, min(upper + height, len(y) - 2) + 2)
        seen = np.flatnonzero(moves[strip].any(axis=0))
        if len(seen) == 0:
            continue
        sides = slice(max(int(seen[0]) - 2, 0), min(int(seen[-1]) + 3, len(x)))
        part = np.ascontiguousarray(lattice[strip, sides])
        size = part.shape[1] * step, part.shape[0] * step
        enlarged = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), np.float32)
        # The position of the enlarged part in the picture. Pixels at its edge do not lie between samples,
        # so they are cut off.
        top, left = (first_row + strip.start) * step, (first_column + sides.start) * step
        down = slice(max(rows.start, top + step), min(rows.stop, top + size[1] - step))
        across = slice(max(columns.start, left + step), min(columns.stop, left + size[0] - step))
        if down.start < down.stop and across.start < across.stop:
            inner = enlarged[down.start - top : down.stop - top, across.start - left : across.stop - left]
            yield down, across, inner


def _lattice(first: int, stop: int, step: int) -> Grid:
    """Return the centres, in pixels, of lattice steps that are ``step`` pixels long.

    Step 0 starts at pixel 0. The result begins with step ``first``, and ends with the step after the one that
    contains pixel ``stop - 1``.
    """
    return np.arange(first, (stop - 1) // step + 2) * float(step) + (step - 1) / 2


def _still(source: NDArray[np.float32], rows: slice, columns: slice) -> NDArray[np.bool_]:
    """Return a mask (h, w): True for pixels that do not move, because their source is their own position."""
    x = np.arange(columns.start, columns.stop, dtype=np.float32)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)
    still: NDArray[np.bool_] = (np.abs(source[:, :, 0] - x) < INVISIBLE) & (
        np.abs(source[:, :, 1] - y[:, None]) < INVISIBLE
    )
    return still


def _resampled(array: NDArray[Any], source: NDArray[np.float32]) -> NDArray[Any]:
    return np.asarray(
        cv2.remap(
            array,
            source,
            np.empty(0, dtype=np.float32),
            interpolation=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
