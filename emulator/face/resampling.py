"""Parts of a picture, turned and at another scale, averaged where they are reduced."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from emulator.face.types import Image, Matrix


@dataclass(frozen=True, eq=False)
class Part:
    """A rectangle of a picture, in which each pixel is the mean of a square of the picture's.

    Attributes
    ----------
    image : (H, W, 3) uint8
    left, top : int
        The rectangle's corner in the picture.
    factor : int
        The squares' side in pixels of the picture.
    """

    image: Image
    left: int
    top: int
    factor: int

    def sample(self, to_picture: Matrix, width: int, height: int, border: int) -> Image:
        """Return (``height``, ``width``, 3): what the picture shows at ``to_picture`` of each pixel.

        Parameters
        ----------
        to_picture : (2, 3) float64
            Takes (x, y, 1) in the result to (x, y) in the picture; pixel centres lie at integers.
        width, height : int
        border : int
            OpenCV's border mode, for what lies beyond the part.
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
    """Return the part of ``image`` from which to sample ``width`` x ``height`` pixels at ``to_picture``.

    It is averaged over as many pixels as one of the result's covers, to the next whole number.
    Where the result lies beyond the picture, the part ends at the picture's edge.

    Parameters
    ----------
    image : Image
        With pixels.
    to_picture : (2, 3) float64
        As in `Part.sample`: a similarity.
    width, height : int
    margin : float
        How much farther the part reaches on each side, in widths and heights of the rectangle.
    """
    scale = float(np.hypot(to_picture[0, 0], to_picture[1, 0]))
    rows, columns = image.shape[:2]
    factor = max(1, min(round(scale), rows, columns))
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]])
    places = corners @ to_picture[:, :2].T + to_picture[:, 2]
    low, high = places.min(axis=0), places.max(axis=0)
    # One more square on each side, for the neighbours between which a sample lies.
    reach = margin * (high - low) + factor + 1
    left, top = np.clip(np.floor(low - reach), 0, (columns - factor, rows - factor)).astype(int).tolist()
    right, bottom = np.ceil(high + reach).astype(int).tolist()
    across = min(columns - left, max(factor, right - left)) // factor
    down = min(rows - top, max(factor, bottom - top)) // factor
    whole = image[top : top + down * factor, left : left + across * factor]
    if factor > 1:
        whole = np.asarray(cv2.resize(whole, (across, down), interpolation=cv2.INTER_AREA), np.uint8)
    return Part(whole, left, top, factor)
