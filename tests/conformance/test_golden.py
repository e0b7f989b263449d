"""The golden samples in fixtures/ are answered as they were."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

import emulator.vendors
from emulator.web.vendor import discover_vendors

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden", FIXTURES / "golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = _load()


@pytest.fixture(scope="module")
def golden_client() -> Iterator[TestClient]:
    with golden.emulator_for_samples() as client:
        yield client


def check(expected: Any, found: Any, place: str) -> None:
    """Hold what was answered against what is expected, patterns included, member for member in order."""
    if isinstance(expected, dict) and any(name.startswith("$") for name in expected):
        check_pattern(expected, found, place)
    elif isinstance(expected, dict):
        assert list(found) == list(expected), place
        for name, value in expected.items():
            check(value, found[name], f"{place}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for index, value in enumerate(expected):
            check(value, found[index], f"{place}.{index}")
    else:
        assert golden.generalised(found) == expected, place


def check_pattern(pattern: dict[str, Any], found: Any, place: str) -> None:
    match pattern:
        case {"$type": name}:
            assert type(found) is {"integer": int, "number": float}[name], place
        case {"$base64": beginning}:
            assert base64.b64decode(found, validate=True).decode("latin-1").startswith(beginning), place
        case {"$numbers": count}:
            for row in found if isinstance(found[0], list) else [found]:
                assert len(row) == count, place
                assert {type(number) for number in row} <= {int, float}, place
        case {"$matches": expression}:
            assert re.fullmatch(expression, found), place
        case _:
            assert found == pattern, place


@pytest.mark.parametrize("path", golden.samples(), ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_a_sample_is_answered_as_it_was(golden_client: TestClient, path: Path) -> None:
    for number, step in enumerate(json.loads(path.read_text())["steps"]):
        check(step["response"], golden.send(golden_client, step["request"]), f"step {number}")


def test_every_vendor_has_samples_of_success_and_failure() -> None:
    for vendor in discover_vendors(emulator.vendors):
        statuses = {
            step["response"]["status"]
            for path in golden.samples()
            if path.parts[-3] == vendor.name
            for step in json.loads(path.read_text())["steps"]
        }
        assert 200 in statuses
        assert len(statuses) >= 2
