from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from emulator.face.stored import stored_arrays

FILES = [
    file.name.removesuffix(".npz")
    for file in resources.files("emulator.face").joinpath("data").iterdir()
    if file.name.endswith(".npz")
]


@pytest.mark.parametrize("name", FILES)
def test_stored_arrays_are_wide_enough_for_arithmetic_and_read_only(name: str) -> None:
    """With two bytes, sums of indices would overflow, and products with a real number would be float32."""
    arrays = stored_arrays(name)
    assert arrays
    for array in arrays.values():
        assert array.dtype in (np.float64, np.int32, np.uint8) or array.dtype.kind == "U"
        assert not array.flags.writeable


def test_no_file_is_missing() -> None:
    assert set(FILES) == {
        "canonical_mesh",
        "complete_head",
        "detector_error",
        "identity_modes",
        "likely_shape",
    }
