"""Reconstruction of hair from a picture."""

from __future__ import annotations

from functools import cache

from emulator.face.attributes import face_attributes
from emulator.face.complete_head import complete_head
from emulator.face.glb import Material, Part, write_glb
from emulator.face.hair import HairStyle, hair_cards, hair_volume, strand_texture
from emulator.face.synthetic.color import linear
from emulator.face.unfolding import unfolded
from emulator.pipelines.core import detector
from emulator.pipelines.encoding import encode_png
from emulator.pipelines.options import HairOptions
from emulator.pipelines.reconstruct import choose_head

HAIR = "hair"
"""Name of the mesh and of the material."""


def reconstruct_hair(photo: bytes, options: HairOptions) -> bytes:
    """Return the hair of one head in a picture as a GLB, in the place where it fits the complete head.

    `emulator.pipelines.reconstruct.choose_head` chooses the head. The hair has the length and the texture
    that ``describe_head`` returns. A bald head gets short hair in the colour of the scalp.

    Raises
    ------
    ImageError
        If the picture cannot be decoded or is not accepted.
    NoFaceFound
        If there is no face.
    """
    image, landmarks, fit = choose_head(photo, options.rules)
    attributes = face_attributes(image, landmarks, detector().coarse_person(image), fit)
    style = HairStyle(attributes.hair_length, attributes.hair_texture)
    color = attributes.hair_color.tolist() if options.color is None else options.color
    red, green, blue = linear(bytes(color).hex()).tolist()
    base = red, green, blue, 1.0
    head = complete_head(unfolded(fit.mesh.vertices))
    if options.mode == "card":
        mesh, normals = hair_cards(head, style)
        material = Material(HAIR, base, _strands(), alpha="MASK", double_sided=True)
        return write_glb([Part(HAIR, mesh.vertices, mesh.triangles, normals, mesh.uv, material)])
    mesh, normals = hair_volume(head, style)
    return write_glb([Part(HAIR, mesh.vertices, mesh.triangles, normals, None, Material(HAIR, base))])


@cache
def _strands() -> bytes:
    """Return the texture of the cards as a PNG."""
    return encode_png(strand_texture())
