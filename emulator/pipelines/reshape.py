"""A photo with another face shape: what is asked and answered, for processes that let others do the work."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.face.reshape_parameters import ReshapeParameters
from emulator.pipelines.rules import ImageRules


@dataclass(frozen=True)
class ReshapeOptions:
    """What to do to which face, and which faces are accepted.

    Attributes
    ----------
    rules : ImageRules
        Which pictures are accepted.
    index : int
        Which face, in the order of :func:`emulator.pipelines.detect.detect_faces`.
    parameters : ReshapeParameters
        The change of shape.
    smoothing, color_evening : float
        0 to 1: how much the skin is smoothed, and its colour evened.
    smallest_fraction : float
        A face must fill more than this of the picture's width, and of its height.
    largest_angle_deg : float
        Yaw, pitch and roll must be below this.
    """

    rules: ImageRules
    index: int
    parameters: ReshapeParameters
    smoothing: float
    color_evening: float
    smallest_fraction: float
    largest_angle_deg: float


@dataclass(frozen=True)
class ReshapedPicture:
    """The result: encoded bytes, their format (``jpeg`` or ``png``), and how long the work took."""

    data: bytes
    format: str
    total_ms: int
    apply_ms: int


def reshape_picture(data: bytes, options: ReshapeOptions) -> ReshapedPicture:
    """Return the picture with one face changed, in its own size, format, orientation and colour space.

    Nothing to change returns the bytes as they came.

    Raises
    ------
    ImageError
        If the bytes are no acceptable picture.
    NoFaceFound, FaceIndexOutOfRange, FaceTooSmall, FaceAngleTooLarge
        If there is no such face, or none that can be worked on.
    """
    # The face core is for workers: a server that imported it would start three times as slowly.
    from emulator.pipelines import reshaping  # noqa: PLC0415 - the line above

    return reshaping.reshaped(data, options)
