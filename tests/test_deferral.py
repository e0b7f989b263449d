from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
from pydantic import ValidationError

from emulator.app import create_app
from emulator.deferral import DeferredAdapter

DOCUMENT = """
import json
from emulator.deferral import defer_models
defer_models()
import fastapi.openapi.models as models
from emulator.app import create_app
app = create_app()
assert not models.OpenAPI.__pydantic_complete__
print(json.dumps(app.openapi()))
"""


@dataclass(frozen=True)
class Size:
    width: int


def test_deferred_models_are_the_same_without_warnings() -> None:
    """FastAPI's own models, and the models and parameters of all routes of the control API."""
    command = [sys.executable, "-W", "error", "-c", DOCUMENT]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    assert done.stderr == ""
    assert json.loads(done.stdout) == create_app().openapi()


def test_an_adapter_validates_like_pydantic() -> None:
    adapter = DeferredAdapter(Size)
    assert adapter.validate_python({"width": "2"}) == adapter.validate_json('{"width": 2}') == Size(2)
    assert adapter.validate_python(Size(3), from_attributes=True) == Size(3)
    with pytest.raises(ValidationError, match="width"):
        adapter.validate_json('{"width": "2"}', strict=True)
