"""Reconstruction of a head from pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from emulator.face.attributes import face_attributes
from emulator.face.detection import Face
from emulator.face.errors import FaceError, NoFaceFound, RefusedImage, SeveralFacesFound
from emulator.face.fit import HeadFit, camera_on, fit_head, fit_views
from emulator.face.head import head_mesh, skin_places
from emulator.face.identity import standardized
from emulator.face.likely_shape import observed_shape
from emulator.face.mesh import Mesh, vertex_normals
from emulator.face.obj import write_mtl, write_obj
from emulator.face.texture import TextureView, bake_texture
from emulator.face.types import Image, Points3
from emulator.face.unfolding import unfolded
from emulator.parallel import later
from emulator.pipelines.core import detector
from emulator.pipelines.decoding import Picture, decode_picture
from emulator.pipelines.encoding import encode_jpeg, encode_png_below
from emulator.pipelines.options import (
    DescriptionOptions,
    HeadDescription,
    ImageRules,
    View,
    Wavefront,
    WavefrontOptions,
)

CROPS = 4
"""Number of crops per face. Averaged landmarks give similar shapes in different pictures of one person."""

MATERIAL = "face"
"""Name of the material in the OBJ and the MTL."""


def reconstruct_wavefront(photos: Sequence[bytes], options: WavefrontOptions) -> Wavefront:
    """Reconstruct one head from pictures that each show one face.

    Raises
    ------
    RefusedImage
        If a picture is not accepted, or does not show exactly one face.
    """
    observations = [_observe(position, data, options.rules) for position, data in enumerate(photos)]
    fits = fit_views([face.landmarks for _, face in observations])
    for position, fit in enumerate(fits):
        if not fit.is_of_a_face:
            raise RefusedImage(position, NoFaceFound())
    shape = unfolded(observed_shape(fits))
    head = head_mesh(shape)
    scaled = head.with_vertices(head.vertices * options.units_per_cm)
    texture = _bake(head, [picture.image for picture, _ in observations], fits, options.texture_size)
    encoded = later(lambda: encode_jpeg(texture))
    normals = vertex_normals(scaled.vertices, scaled.triangles)
    return Wavefront(
        obj=write_obj(scaled, normals, options.material_library, MATERIAL),
        mtl=write_mtl(MATERIAL, options.texture_name),
        views=tuple(
            View(
                camera_on(fit, shape).enlarged(picture.reduction, picture.corner),
                picture.width,
                picture.height,
            )
            for fit, (picture, _) in zip(fits, observations, strict=True)
        ),
        texture=encoded(),
    )


def describe_head(photo: bytes, options: DescriptionOptions) -> HeadDescription:
    """Describe one head in a picture, the one that `choose_head` chooses.

    Raises
    ------
    ImageError
        If the picture cannot be decoded or is not accepted.
    NoFaceFound
        If there is no face.
    """
    image, landmarks, fit = choose_head(photo, options.rules)
    segment = detector().coarse_person
    measured = later(lambda: face_attributes(image, landmarks, segment(image), fit))
    texture = _bake(head_mesh(unfolded(fit.mesh.vertices)), [image], [fit], options.texture_size)
    encoded = encode_png_below(texture, options.texture_bytes)
    attributes = measured()
    return HeadDescription(
        texture=encoded,
        numbers=tuple(map(float, standardized(fit.identity_coefficients))),
        attributes=attributes if options.gender is None else replace(attributes, gender=options.gender),
    )


def choose_head(photo: bytes, rules: ImageRules) -> tuple[Image, Points3, HeadFit]:
    """Return a picture, and the landmarks (478, 3) and the fit of one head in it.

    If there are several faces, a hash of the picture's bytes selects one, so that the choice is reproducible.

    Raises
    ------
    ImageError
        If the picture cannot be decoded or is not accepted.
    NoFaceFound
        If there is no face.
    """
    image = decode_picture(photo, rules).in_srgb()
    faces = detector().detect(image, crops=CROPS)
    if not faces:
        raise NoFaceFound
    chosen = int.from_bytes(hashlib.sha256(photo).digest()[:8], "big") % len(faces)
    landmarks = faces[chosen].landmarks
    fit = fit_head(landmarks)
    if not fit.is_of_a_face:
        raise NoFaceFound
    return image, landmarks, fit


def _observe(position: int, data: bytes, rules: ImageRules) -> tuple[Picture, Face]:
    try:
        picture = decode_picture(data, rules)
        picture = replace(picture, image=picture.in_srgb(), icc_profile=None)
        faces = detector().detect(picture.image, crops=CROPS)
        if not faces:
            raise NoFaceFound
        if len(faces) > 1:
            raise SeveralFacesFound(len(faces))
    except FaceError as error:
        raise RefusedImage(position, error) from error
    return picture, faces[0]


def _bake(head: Mesh, images: Sequence[Image], fits: Sequence[HeadFit], size: int) -> Image:
    """Return the texture of a head, combined from all images."""
    views = [
        TextureView(fit.camera.project(head_mesh(unfolded(fit.landmarks_cm)).vertices), image)
        for image, fit in zip(images, fits, strict=True)
    ]
    return bake_texture(head, views, size, skin_places()).image
