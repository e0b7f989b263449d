from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PillowImage

from emulator.face.errors import NoFaceFound, RefusedImage
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.pipelines.detect import detect_faces
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import DescriptionOptions, ImageRules, WavefrontOptions
from emulator.pipelines.reconstruct import describe_head, reconstruct_wavefront

RULES = ImageRules(frozenset({"jpeg"}))
SMALL = replace(RULES, most_pixels=300 * 300)
WAVEFRONT = WavefrontOptions(RULES, 64, 10.0, "face.mtl", "tex.jpg")
DESCRIPTION = DescriptionOptions(RULES, 64, 2_000_000)


@pytest.mark.parametrize("seed", [0, 3, 4, 7])
def test_an_upside_down_face_is_refused(seed: int) -> None:
    """The mesh model would fit it as an upright face with implausible coefficients."""
    image = render_face(SyntheticFaceSpec(seed=seed, width=500, height=500)).image
    upright, inverted = encode_jpeg(image), encode_jpeg(np.ascontiguousarray(image[::-1, ::-1]))
    with pytest.raises(RefusedImage) as refused:
        reconstruct_wavefront([upright, inverted], WAVEFRONT)
    assert (refused.value.position, type(refused.value.reason)) == (1, NoFaceFound)
    with pytest.raises(NoFaceFound):
        describe_head(inverted, DESCRIPTION)
    assert len(reconstruct_wavefront([upright], WAVEFRONT).views) == 1
    assert max(map(abs, describe_head(upright, DESCRIPTION).numbers)) < 4


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_results_of_a_reduced_picture_are_in_pixels_of_the_file(orientation: int) -> None:
    image = render_face(SyntheticFaceSpec(seed=3, width=801, height=801)).image
    stored = np.ascontiguousarray(np.rot90(image, {1: 0, 3: 2, 6: 1}[orientation]))
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    PillowImage.fromarray(stored).save(buffer, "JPEG", quality=95, exif=exif)
    photo = buffer.getvalue()
    whole = reconstruct_wavefront([photo], WAVEFRONT).views[0]
    reduced = reconstruct_wavefront([photo], replace(WAVEFRONT, rules=SMALL)).views[0]
    assert (reduced.width, reduced.height) == (whole.width, whole.height) == (801, 801)
    assert reduced.camera.scale == pytest.approx(whole.camera.scale, rel=0.02)
    np.testing.assert_allclose(reduced.camera.translation, whole.camera.translation, atol=1.5)
    (box,), (smaller,) = detect_faces(photo, RULES), detect_faces(photo, SMALL)
    for name in ("left", "top", "width", "height"):
        assert getattr(smaller, name) == pytest.approx(getattr(box, name), abs=2.5)
