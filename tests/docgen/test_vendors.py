"""The sections of operations describe the parameters of all their paths."""

from __future__ import annotations

import re

import pytest

from docgen.vendors import operations, shipped_vendors
from emulator.web.vendor import Vendor


@pytest.mark.parametrize("vendor", shipped_vendors(), ids=lambda vendor: vendor.name)
def test_every_parameter_of_every_path_is_described(vendor: Vendor) -> None:
    sections = dict(
        re.findall(r"^#### `(\w+)`: (.+?)(?=^#### |\Z)", operations(vendor.name), re.MULTILINE | re.DOTALL)
    )
    for operation in vendor.operations.values():
        for name in re.findall(r"\{(\w+)", " ".join(operation.paths)):
            assert f"\n| `{name}` | text | " in sections[operation.name], (operation.name, name)


def test_a_parameter_that_only_some_paths_have_is_not_required() -> None:
    text = operations("perfectcorp")
    assert "| `feature` | text | yes | Name of a feature" in text
    assert "| `part` | text |  | Second part of the name" in text
