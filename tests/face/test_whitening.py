from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emulator.face.types import Image
from emulator.face.whitening import whiten

images = arrays.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)))


@given(images, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_strength_is_brighter_and_paler(image: Image, one: float, other: float) -> None:
    weaker, stronger = (whiten(image, each, None).astype(int) for each in sorted((one, other)))
    assert (stronger >= weaker).all()
    assert (weaker >= image).all()
    # The channels come closer to white in the same order as before.
    order = np.argsort(image, axis=2, kind="stable")
    assert (np.diff(np.take_along_axis(stronger, order, axis=2), axis=2) >= 0).all()


def test_black_and_white_stay_and_the_middle_rises_most() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    rise = whiten(grey, 1.0, None)[0, :, 0].astype(int) - np.arange(256)
    assert (rise[0], rise[255]) == (0, 0)
    assert rise.max() == pytest.approx(34, abs=1)
    assert 80 < rise.argmax() < 130


@given(images)
def test_strength_0_and_a_mask_of_0_change_nothing(image: Image) -> None:
    nowhere = np.zeros(image.shape[:2], np.float32)
    for whitened in (whiten(image, 0.0, None), whiten(image, 1.0, nowhere)):
        assert np.array_equal(whitened, image)
        assert not np.shares_memory(whitened, image)


def test_the_mask_limits_the_change() -> None:
    grey = np.full((4, 600, 3), 100, np.uint8).transpose(1, 0, 2).copy()
    mask = np.zeros(grey.shape[:2], np.float32)
    mask[300:], mask[450:] = 0.5, 1.0
    whitened = whiten(grey, 1.0, mask)[:, 0, 0].astype(int)
    assert (whitened[:300] == 100).all()
    assert set(whitened[300:450]) == {100 + round((whitened[500] - 100) / 2)}
