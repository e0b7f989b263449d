"""Rotated and scaled crops of a picture. If a crop is smaller than the original, pixels are averaged."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from emulator.face.types import Image, Matrix


@dataclass(frozen=True, eq=False)
class Part:
    """A rectangle of a picture, reduced by a whole factor.

    Attributes
    ----------
    image : (H, W, 3) uint8
    left, top : int
        The rectangle's corner in the picture, in pixels.
    factor : int
        Each pixel of ``image`` is the mean of ``factor`` x ``factor`` pixels of the picture.
    """

    image: Image
    left: int
    top: int
    factor: int

    def sample(self, to_picture: Matrix, width: int, height: int, border: int) -> Image:
        """Return a crop (``height``, ``width``, 3) of the picture under the affine map ``to_picture``.

        Parameters
        ----------
        to_picture : (2, 3) float64
            Maps (x, y, 1) in the crop to (x, y) in the picture. Pixel centres are at integers.
        width, height : int
        border : int
            OpenCV's border mode for pixels outside the part.
        """
        to_part = to_picture / self.factor
        to_part[:, 2] += (0.5 - np.array([self.left, self.top])) / self.factor - 0.5
        sampled = cv2.warpAffine(
            self.image,
            to_part,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=border,
        )
        return np.asarray(sampled, np.uint8)


def part_for(image: Image, to_picture: Matrix, width: int, height: int, margin: float = 0.0) -> Part:
    """Return the part of ``image`` that a crop of ``width`` x ``height`` pixels needs.

    The part is reduced by the scale of ``to_picture``, rounded to a whole number. If the crop extends
    beyond the picture, the part ends at the picture's edge.

    Parameters
    ----------
    image : Image
        Not empty.
    to_picture : (2, 3) float64
        A similarity transform; see `Part.sample`.
    width, height : int
    margin : float
        Extra margin on each side, as a fraction of the crop's width and height in the picture.
    """
    scale = float(np.hypot(to_picture[0, 0], to_picture[1, 0]))
    rows, columns = image.shape[:2]
    factor = max(1, min(round(scale), rows, columns))
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]])
    places = corners @ to_picture[:, :2].T + to_picture[:, 2]
    low, high = places.min(axis=0), places.max(axis=0)
    # Bilinear interpolation needs one more reduced pixel on each side.
    reach = margin * (high - low) + factor + 1
    left, top = np.clip(np.floor(low - reach), 0, (columns - factor, rows - factor)).astype(int).tolist()
    right, bottom = np.ceil(high + reach).astype(int).tolist()
    across = min(columns - left, max(factor, right - left)) // factor
    down = min(rows - top, max(factor, bottom - top)) // factor
    whole = image[top : top + down * factor, left : left + across * factor]
    return Part(reduced(whole, factor), left, top, factor)


def reduced(image: Image, factor: int) -> Image:
    """Return the means of squares of ``factor`` x ``factor`` pixels. ``image`` must consist of such squares.

    OpenCV averages 2 x 2 pixels many times as fast as other squares. So as long as the factor is even, the
    picture is halved, and the means are rounded each time.
    """
    while factor > 1:
        step = 2 if factor % 2 == 0 else factor
        size = image.shape[1] // step, image.shape[0] // step
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        factor //= step
    return image
