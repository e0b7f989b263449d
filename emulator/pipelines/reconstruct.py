"""From photos to a head."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emulator.face.attributes import Attributes, Gender, face_attributes
from emulator.face.detection import Face
from emulator.face.errors import FaceError, NoFaceFound, RefusedImage, SeveralFacesFound
from emulator.face.fit import HeadFit, fit_head, fit_views, observed_shape
from emulator.face.head import head_mesh, skin_places
from emulator.face.mesh import Mesh, vertex_normals
from emulator.face.obj import write_mtl, write_obj
from emulator.face.pose import WeakPerspective
from emulator.face.texture import TextureView, bake_texture
from emulator.face.types import Image
from emulator.pipelines.core import detector
from emulator.pipelines.images import ImageRules, decode_picture, encode_jpeg, encode_png_below

LOOKS = 6
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
    observations = [_observe(position, data, options.rules) for position, data in enumerate(photos)]
    fits = fit_views([face.landmarks for _, face in observations])
    head = head_mesh(observed_shape(fits))
    texture = _bake(head, [image for image, _ in observations], fits, options.texture_size)
    scaled = head.with_vertices(head.vertices * options.units_per_cm)
    normals = vertex_normals(scaled.vertices, scaled.triangles)
    return Wavefront(
        obj=write_obj(scaled, normals, options.material_library, MATERIAL),
        mtl=write_mtl(MATERIAL, options.texture_name),
        texture=encode_jpeg(texture),
        views=tuple(
            View(fit.camera, image.shape[1], image.shape[0])
            for fit, (image, _) in zip(fits, observations, strict=True)
        ),
    )


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
    image = decode_picture(photo, options.rules).in_srgb()
    faces = detector().detect(image, looks=LOOKS)
    if not faces:
        raise NoFaceFound
    chosen = int.from_bytes(hashlib.sha256(photo).digest()[:8], "big") % len(faces)
    face = faces[chosen]
    fit = fit_head(face.landmarks)
    texture = _bake(head_mesh(fit.mesh.vertices), [image], [fit], options.texture_size)
    attributes = face_attributes(image, face.landmarks, detector().segment_person(image))
    return HeadDescription(
        texture=encode_png_below(texture, options.texture_bytes),
        identity_coefficients=tuple(float(number) for number in fit.identity_coefficients),
        attributes=attributes if options.gender is None else replace(attributes, gender=options.gender),
    )


def _observe(position: int, data: bytes, rules: ImageRules) -> tuple[Image, Face]:
    try:
        image = decode_picture(data, rules).in_srgb()
        faces = detector().detect(image, looks=LOOKS)
        if not faces:
            raise NoFaceFound
        if len(faces) > 1:
            raise SeveralFacesFound(len(faces))
    except FaceError as error:
        raise RefusedImage(position, error) from error
    return image, faces[0]


def _bake(head: Mesh, images: Sequence[Image], fits: Sequence[HeadFit], size: int) -> Image:
    """Return the texture that all images agree on."""
    views = [
        TextureView(fit.camera.project(head_mesh(fit.landmarks_cm).vertices), image)
        for image, fit in zip(images, fits, strict=True)
    ]
    return bake_texture(head, views, size, skin_places()).image
