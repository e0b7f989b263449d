"""From photos to a head: what is asked and answered, for processes that let others do the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulator.face.appearance import Attributes, Gender
from emulator.face.pose import WeakPerspective
from emulator.pipelines.rules import ImageRules

LOOKS = 4
"""At each face: the landmarks' mean is steady enough that one person stays one person."""

MATERIAL = "face"
"""The material's name, in OBJ and MTL."""


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


def reconstruct_wavefront(photos: Sequence[bytes], options: WavefrontOptions) -> Wavefront:
    """Return the head that all photos show, one person in each.

    Raises
    ------
    RefusedImage
        If a photo is no acceptable picture, or shows no face or several.
    """
    # The face core is for workers: a server that imported it would start three times as slowly.
    from emulator.pipelines import reconstruction  # noqa: PLC0415 - the line above

    return reconstruction.wavefront(photos, options)


def describe_head(photo: bytes, options: DescriptionOptions) -> HeadDescription:
    """Return the description of one head in the photo.

    Of several people one is chosen by the photo's bytes: arbitrary, and always the same.

    Raises
    ------
    ImageError
        If the photo is no acceptable picture.
    NoFaceFound
        If there is no face in it.
    """
    from emulator.pipelines import reconstruction  # noqa: PLC0415 - as above

    return reconstruction.description(photo, options)
