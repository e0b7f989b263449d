from __future__ import annotations

import io

import numpy as np
import pytest
import trimesh

from emulator.face.complete_head import complete_head
from emulator.face.errors import NoFaceFound
from emulator.face.hair import HairStyle, hair_volume
from emulator.face.identity import IDENTITY_COUNT, mesh, standardized
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.face.unfolding import unfolded
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.hair import reconstruct_hair
from emulator.pipelines.options import DescriptionOptions, HairOptions, ImageRules
from emulator.pipelines.reconstruct import describe_head

RULES = ImageRules(frozenset({"jpeg"}))


def test_hair_fits_the_head_that_the_description_of_the_photo_gives() -> None:
    photo = encode_jpeg(render_face(SyntheticFaceSpec(seed=3, yaw=15, width=320, height=320)).image)
    described = describe_head(photo, DescriptionOptions(RULES, 64, 2_000_000))
    coefficients = np.array(described.numbers) / standardized(np.ones(IDENTITY_COUNT))
    head = complete_head(unfolded(mesh(coefficients).vertices))
    style = HairStyle(described.attributes.hair_length, described.attributes.hair_texture)
    expected, _ = hair_volume(head, style)
    model = reconstruct_hair(photo, HairOptions(RULES, "volume"))
    found = trimesh.load_mesh(io.BytesIO(model), file_type="glb", process=False)
    np.testing.assert_allclose(100 * found.vertices, expected.vertices, atol=1e-4)
    assert np.array_equal(found.faces, expected.triangles)


def test_a_picture_without_a_face_is_refused() -> None:
    with pytest.raises(NoFaceFound):
        reconstruct_hair(encode_jpeg(np.zeros((200, 200, 3), np.uint8)), HairOptions(RULES, "card"))
