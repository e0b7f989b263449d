"""Results do not depend on the memory addresses of arrays."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from emulator.face.beauty_parameters import BeautyParameters
from emulator.face.color_filter import ColorFilter
from emulator.face.reshape_parameters import ReshapeParameters
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.pipelines.beautify import beautify_picture
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import (
    BeautifyOptions,
    DescriptionOptions,
    ImageRules,
    ReshapeOptions,
    WavefrontOptions,
)
from emulator.pipelines.reconstruct import describe_head, reconstruct_wavefront
from emulator.pipelines.reshape import reshape_picture

RULES = ImageRules(frozenset({"jpeg"}))
# NumPy computes these with vector instructions if the memory of the operand and that of the result do not
# seem to overlap. If the operand is a column of a larger array, NumPy assumes that its memory extends past
# the end of that array, where the memory of the result can be.
INEXACT = (
    *("arccos", "arcsin", "arctan", "arctan2", "cbrt", "cos", "exp", "exp2", "expm1", "float_power", "log"),
    *("log10", "log1p", "log2", "power", "sin", "tan", "tanh"),
)


def reaches_past_its_end(operand: object) -> bool:
    """Return whether an array's last axis is a column of a larger array."""
    return (
        isinstance(operand, np.ndarray)
        and operand.ndim > 0
        and (operand.shape[-1] > 1 and operand.strides[-1] not in (0, operand.itemsize))
    )


class Watched:
    """A wrapper of NumPy that records the inexact functions that are called with a column."""

    def __init__(self) -> None:
        self.called: set[str] = set()
        self.found: list[str] = []

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if name not in INEXACT:
            return function

        def watched(*operands: Any, **more: Any) -> Any:
            self.called.add(name)
            if any(map(reaches_past_its_end, operands)):
                caller = sys._getframe(1)  # noqa: SLF001 - the line to fix
                self.found.append(f"{name} in {caller.f_code.co_filename}:{caller.f_lineno}")
            return function(*operands, **more)

        return watched


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched()
    for name, module in list(sys.modules.items()):
        if name.startswith(("emulator.face.", "emulator.pipelines.")) and hasattr(module, "np"):
            monkeypatch.setattr(module, "np", watched)
    return watched


def test_no_inexact_function_gets_a_column_of_a_larger_array(watched: Watched) -> None:
    pictures = [render_face(SyntheticFaceSpec(seed=seed, yaw=20.0 * (seed - 1))).image for seed in range(3)]
    data = encode_jpeg(pictures[1])
    reconstruct_wavefront([data], WavefrontOptions(RULES, 64, 10.0, "face.mtl", "tex.jpg"))
    describe_head(data, DescriptionOptions(RULES, 64, 2_000_000))
    parameters = ReshapeParameters(face_width=-1.0, eye_size_left=1.0)
    reshape_picture(data, ReshapeOptions(RULES, 0, parameters, 0.5, 0.5, 0.05, 30.0))
    everything = BeautyParameters(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    beautify_picture(data, BeautifyOptions(RULES, everything, ColorFilter(0.5, 0.5, 0.5, vignette=0.5)))
    assert watched.called >= {"arctan2", "exp", "log2", "sin"}
    assert watched.found == []
