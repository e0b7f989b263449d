from __future__ import annotations

import inspect
from typing import get_args, get_type_hints

import pytest

from emulator.backends.queue import Pipeline
from emulator.face import box, types
from emulator.pipelines import options

# `emulator.pipelines.options` imports these only for type checkers.
FACE_TYPES = {**vars(types), **vars(box), **vars(options)}

NAMES = [name for name, value in vars(options).items() if isinstance(value, Pipeline)]


@pytest.mark.parametrize("name", NAMES)
def test_the_type_of_every_pipeline_matches_its_function(name: str) -> None:
    taken, returned = get_args(get_type_hints(options, FACE_TYPES)[name])
    function = getattr(options, name).resolve()
    hints = get_type_hints(function)
    assert function.__name__ == name.lower()
    assert list(hints) == [*inspect.signature(function).parameters, "return"]
    assert list(hints.values()) == [*taken, returned]
