"""What pipelines are asked and what they answer, and the names by which others have them run.

For both sides: whoever imports this has not imported the face core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from emulator.backends.queue import Pipeline
from emulator.face.appearance import Attributes, Gender
from emulator.face.pose import WeakPerspective
from emulator.face.reshape_parameters import ReshapeParameters
from emulator.face.types import Box

MOST_PIXELS = 50_000_000
"""What is decoded at most if a caller has no limit of its own: photographs have up to 50 million. The worst
kind, an animated WebP of 7,071 x 7,071 pixels, took a process 825 MB at its peak; a transparent PNG that is
to be turned, 614 MB."""


@dataclass(frozen=True)
class ImageRules:
    """What a caller accepts.

    Attributes
    ----------
    formats : frozenset of str
        Of ``jpeg``, ``png``, ``webp``, ``bmp``, ``heic``; decided by the bytes, never by a name.
    longest_side, shortest_side : int or None
        Limits in pixels, inclusive; each holds for both sides.
    most_pixels : int
        A limit on width times height, inclusive, that protects memory.
    """

    formats: frozenset[str]
    longest_side: int | None = None
    shortest_side: int | None = None
    most_pixels: int = MOST_PIXELS


class PictureFault(BaseModel):
    """What is done to a picture, in this order; what is not given is not done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drop_exif: bool = Field(default=False, description="Take away all metadata, the orientation too.")
    rotate_deg: Literal[0, 90, 180, 270] = Field(
        default=0, description="Turn the pixels clockwise, and leave the orientation as it is."
    )
    swap_channels: bool = Field(default=False, description="Take red for blue, as BGR taken for RGB does.")
    shrink: float = Field(default=1.0, gt=0, le=1, description="To this part of width and height.")
    blur: float = Field(default=0.0, ge=0, le=256, description="Standard deviation of a Gaussian, in pixels.")
    truncate: float = Field(default=1.0, ge=0, le=1, description="Keep this part of the file's bytes.")


@dataclass(frozen=True)
class ReshapeOptions:
    """What to do to which face, and which faces are accepted.

    Attributes
    ----------
    rules : ImageRules
        Which pictures are accepted.
    index : int
        Which face, in the order of `DETECT_FACES`.
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


@dataclass(frozen=True, eq=False)
class View:
    """How one photo saw the head: the camera, and the photo's size in pixels."""

    camera: WeakPerspective
    width: int
    height: int


@dataclass(frozen=True)
class WavefrontOptions:
    """How a head is written as OBJ, MTL and JPEG.

    Attributes
    ----------
    rules : ImageRules
        Which photos are accepted.
    texture_size : int
        Pixels on a side.
    units_per_cm : float
        The OBJ's unit of length.
    material_library, texture_name : str
        File names that OBJ and MTL refer to.
    """

    rules: ImageRules
    texture_size: int
    units_per_cm: float
    material_library: str
    texture_name: str


@dataclass(frozen=True, eq=False)
class Wavefront:
    """A head as files, and one view for each photo, in the photos' order."""

    obj: str
    mtl: str
    texture: bytes
    views: tuple[View, ...]


@dataclass(frozen=True)
class DescriptionOptions:
    """How a head is described.

    Attributes
    ----------
    rules : ImageRules
        Which photos are accepted.
    texture_size : int
        Pixels on a side, fewer where the PNG would not have less than ``texture_bytes``.
    texture_bytes : int
    gender : {'female', 'male'} or None
        Of everybody; if None, guessed.
    """

    rules: ImageRules
    texture_size: int
    texture_bytes: int
    gender: Gender | None = None


@dataclass(frozen=True, eq=False)
class HeadDescription:
    """A head in numbers.

    Attributes
    ----------
    texture : bytes
        PNG.
    identity_coefficients : tuple of 80 float
        The head's shape.
    attributes : Attributes
        What is seen of skin, hair, gender, glasses and lids.
    """

    texture: bytes
    identity_coefficients: tuple[float, ...]
    attributes: Attributes


WARM_UP: Pipeline[[], None] = Pipeline("emulator.pipelines.warm_up.warm_up")
DEGRADE: Pipeline[[bytes, PictureFault], bytes] = Pipeline("emulator.pipelines.degrade.degrade")
DETECT_FACES: Pipeline[[bytes, ImageRules], tuple[Box, ...]] = Pipeline(
    "emulator.pipelines.detect.detect_faces"
)
RESHAPE_PICTURE: Pipeline[[bytes, ReshapeOptions], ReshapedPicture] = Pipeline(
    "emulator.pipelines.reshape.reshape_picture"
)
RECONSTRUCT_WAVEFRONT: Pipeline[[Sequence[bytes], WavefrontOptions], Wavefront] = Pipeline(
    "emulator.pipelines.reconstruct.reconstruct_wavefront"
)
DESCRIBE_HEAD: Pipeline[[bytes, DescriptionOptions], HeadDescription] = Pipeline(
    "emulator.pipelines.reconstruct.describe_head"
)
