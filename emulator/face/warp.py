"""Resampling of a picture by a displacement field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from emulator.face.displacement import INVISIBLE, DisplacementField, Grid, is_moving
from emulator.face.later import Later, when_needed
from emulator.face.types import Image, check_image

Alpha: TypeAlias = NDArray[np.uint8]

# Square of the pitch of the sampling lattice, as a multiple of the distance between nodes; both in pixels.
# The spline is evaluated on the lattice and interpolated linearly in between. The error is proportional to
# this ratio. It is at most about a tenth of a pixel, where the lips move most sharply.
_LATTICE_SQUARE = 1.0

# The pitch is a multiple of a quarter of a pixel, so that this number of lattice steps are whole pixels.
_BLOCK = 4

# Rows that are resampled at a time, to bound the memory for large pictures, and to follow the outline of what
# moves.
_STRIP_ROWS = 64


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
        rows, columns = self.values.shape
        down, along = (y - self.origin[1]) / self.pitch[1], (x - self.origin[0]) / self.pitch[0]
        if np.array_equal(down, np.arange(rows)) and np.array_equal(along, np.arange(columns)):
            # There is nothing to interpolate.
            return self.values
        by_row, by_column = _linear_matrix(down, rows), _linear_matrix(along, columns)
        across = np.ascontiguousarray((by_row @ self.values).T)
        sampled: NDArray[np.float32] = (by_column @ across).T
        return np.ascontiguousarray(sampled)


def _linear_matrix(cells: Grid, values: int) -> csr_array:
    """Return the weights (N, values) float32 of values in a linear interpolation, at N positions ``cells``.

    Positions before the first value, and after the last one, take this value.
    """
    cells = np.clip(cells, 0.0, values - 1)
    first = np.clip(cells.astype(np.int32), 0, max(values - 2, 0))
    share = (cells - first).astype(np.float32)
    taps = np.stack([first, np.minimum(first + 1, values - 1)], axis=1)
    weights = np.stack([1.0 - share, share], axis=1)
    starts = np.arange(0, taps.size + 1, 2, dtype=np.int32)
    return csr_array((weights.ravel(), taps.ravel(), starts), (len(cells), values))


def warp_image(
    image: Image, field: DisplacementField, share: Share | None = None, later: Later = when_needed
) -> Image:
    """Return ``image`` (H, W, 3) warped by ``field``, with bicubic interpolation.

    With a ``share``, only this fraction of its displacement is applied to each pixel. Pixels that do not move
    are bit-identical to the input. ``later`` resamples half of the pixels that move.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or the field has another size.
    """
    check_image(image)
    if image.shape[:2] != field.shape:
        raise ValueError(f"the field is for {field.shape}, the image is {image.shape[:2]}")
    copied = later(image.copy)
    strips = list(_strips(field, share))
    warped = copied()

    def resample(some: Sequence[_Strip]) -> None:
        for strip in some:
            warped[strip.rows, strip.columns] = _resampled(image, strip.sources())

    others = later(lambda: resample(strips[1::2]))
    resample(strips[::2])
    others()
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
    for strip in _strips(field, share):
        rows, columns, source = strip.rows, strip.columns, strip.sources()
        still = _still(source, rows, columns)
        coverage = _resampled(opacity, source)
        colour = _resampled(weighted, source) / np.maximum(coverage, 0.5)[:, :, None]
        moved = ~still & (coverage >= 0.5)
        warped[rows, columns][moved] = np.clip(np.rint(colour[moved]), 0, 255).astype(np.uint8)
        warped_alpha[rows, columns][~still] = np.clip(np.rint(coverage[~still]), 0, 255).astype(np.uint8)
    return warped, warped_alpha


@dataclass(frozen=True, eq=False)
class _Strip:
    """A part of the picture that moves.

    Attributes
    ----------
    rows, columns : slice
        The pixels of the part.
    places : (h, w, 2) float32
        The positions (x, y) of their sources, on a lattice around the part, with steps of ``pitch`` pixels.
    within : (slice, slice)
        The rows and columns of the part, counted from the first pixel of the lattice.
    pitch : float
    """

    rows: slice
    columns: slice
    places: NDArray[np.float32]
    within: tuple[slice, slice]
    pitch: float

    def sources(self) -> NDArray[np.float32]:
        """Return the positions of the sources of all pixels, interpolated linearly on the lattice."""
        every = cv2.resize(self.places, None, fx=self.pitch, fy=self.pitch, interpolation=cv2.INTER_LINEAR)
        return np.asarray(every[self.within], np.float32)


def _strips(field: DisplacementField, share: Share | None = None) -> Iterator[_Strip]:
    """Yield the parts of the picture that move.

    The spline is evaluated on a lattice with steps of a few pixels. In between, the positions are
    interpolated linearly. For pixels that do not move, the error of the interpolation is too small to change
    the resampled picture.
    """
    if field.is_zero:
        return
    pitch = lattice_pitch(field, np.inf if share is None else min(share.pitch))
    rows, columns = field.pixels
    first_row, first_column, x, y, moved = on_lattice(field, pitch)
    shares = None if share is None else share.sampled(x, y)
    # The positions have few binary digits, so float32 holds them exactly.
    across, along = x.astype(np.float32), y.astype(np.float32)[:, None]
    height = _BLOCK * max(1, int(_STRIP_ROWS / pitch) // _BLOCK)
    done = rows.start
    for upper in range(0, len(y) - 2, height):
        # A strip of lattice rows, and the rows next to it.
        strip = slice(upper, min(upper + height + 2, len(y)))
        top = first_row + int(upper * pitch)
        down = slice(done, min(rows.stop, top + _between_samples(strip.stop - upper, pitch).stop))
        done = down.stop
        applied = moved[:, strip] if shares is None else moved[:, strip] * shares[strip]
        seen = np.flatnonzero(is_moving(applied[0], applied[1]).any(axis=0))
        if len(seen) == 0:
            continue
        before = max(int(seen[0]) - 2, 0) // _BLOCK * _BLOCK
        some = slice(before, int(seen[-1]) + 3)
        places = cv2.merge([applied[0, :, some] + across[some], applied[1, :, some] + along[strip]])
        left = first_column + int(before * pitch)
        inner = _between_samples(places.shape[1], pitch)
        over = slice(max(columns.start, left + inner.start), min(columns.stop, left + inner.stop))
        if down.start < down.stop and over.start < over.stop:
            within = slice(down.start - top, down.stop - top), slice(over.start - left, over.stop - left)
            yield _Strip(down, over, np.asarray(places, np.float32), within, pitch)


class Lattice(NamedTuple):
    """A field on a lattice with steps of equal size. Each sample is in the middle of a step.

    Attributes
    ----------
    first_row, first_column : int
        The pixel at which the lattice begins.
    x, y : (columns,) float64, (rows,) float64
        The positions of the samples, in pixels.
    moved : (2, rows, columns) float32
        The displacements along x and along y, read-only.
    """

    first_row: int
    first_column: int
    x: Grid
    y: Grid
    moved: NDArray[np.float32]


# Cached, because the share of a field and the resampling need the same lattice.
@lru_cache(maxsize=1)
def on_lattice(field: DisplacementField, pitch: float) -> Lattice:
    """Return the field on the lattice of its resampling, with steps of ``pitch`` pixels."""
    rows, columns = field.pixels
    (first_row, y), (first_column, x) = (lattice(part.start, part.stop, pitch) for part in (rows, columns))
    moved = field.sampled(x, y)
    moved.flags.writeable = False
    return Lattice(first_row, first_column, x, y, moved)


def lattice_pitch(field: DisplacementField, most: float) -> float:
    """Return the pitch, in pixels, of a lattice that is fine enough for ``field``, at most ``most``."""
    fine = min((_LATTICE_SQUARE * field.pitch) ** 0.5, most)
    return max(1.0, int(_BLOCK * fine) / _BLOCK)


def lattice(start: int, stop: int, pitch: float) -> tuple[int, Grid]:
    """Return a lattice along one axis: the pixel at which it begins, and its samples, in pixels.

    Each sample is in the middle of a step of ``pitch`` pixels. Step 0 of all lattices begins at the edge of
    the picture. The pixels from ``start`` to ``stop - 1`` lie between samples.
    """
    first = (int(start / pitch) - 1) // _BLOCK * _BLOCK
    steps = np.arange(first, int((stop - 1) / pitch) + 2)
    return int(first * pitch), (steps + 0.5) * pitch - 0.5


def _between_samples(steps: int, pitch: float) -> slice:
    """Return the pixels that lie between the samples of a lattice with this number of steps."""
    return slice(math.ceil((pitch - 1.0) / 2), math.floor((steps - 0.5) * pitch + 0.5))


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
