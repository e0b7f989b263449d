"""The rectangle of a face, in the vendor's format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.face.landmarks import CHIN_TIP, FACE_OVAL, LEFT_EYEBROW, RIGHT_EYEBROW
from emulator.vendors.faceplusplus.wire import Rectangle

if TYPE_CHECKING:
    from emulator.face.types import Points3


def face_rectangle(landmarks: Points3, width: int, height: int) -> Rectangle:
    """Return a square around a face, from the eyebrows to the chin, in a picture of ``width`` x ``height``.

    Its side is the mean of the width of the face and the height from the eyebrows to the chin. It is clipped
    at the border of the picture. Logged responses have squares; what exactly they enclose is a guess.

    ``landmarks`` are (478, 3), in pixels.
    """
    import numpy as np  # noqa: PLC0415 - the server starts without numpy

    oval = landmarks[list(FACE_OVAL), :2]
    brows = landmarks[[*LEFT_EYEBROW, *RIGHT_EYEBROW], :2]
    lower = np.concatenate([oval[oval[:, 1] >= brows[:, 1].mean()], brows, landmarks[[CHIN_TIP], :2]])
    low, high = lower.min(axis=0), lower.max(axis=0)
    side = max(1, round(float((high - low).mean())))
    left, top = (round(float(middle)) for middle in (low + high - side) / 2)
    # A face can extend beyond the picture.
    start_x, end_x = (min(max(x, 0), width) for x in (left, left + side))
    start_y, end_y = (min(max(y, 0), height) for y in (top, top + side))
    return Rectangle(top=start_y, left=start_x, width=max(1, end_x - start_x), height=max(1, end_y - start_y))
