"""The stored arrays of the face core."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray


def stored_arrays(name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays in ``data/<name>.npz`` by their names, read-only.

    The files store numbers with only the necessary accuracy. This function converts real numbers to float64,
    and integers of two bytes to int32.
    """
    with (
        resources.files("emulator.face").joinpath(f"data/{name}.npz").open("rb") as stream,
        np.load(stream, allow_pickle=False) as stored,
    ):
        arrays = {key: _widened(stored[key]) for key in stored.files}
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


def _widened(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    return array.astype(np.int32) if array.dtype == np.int16 else array
