"""Every parameter and every member of the vendors' OpenAPI documents is described."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vendor_data import per_vendor

from emulator.web.openapi import describe
from emulator.web.vendor import Vendor

BEGIN = re.compile("[A-Z`]")


def described_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the description of every parameter and every property."""
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from described_in(each, f"{path}/{number}")
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from described_in(member, f"{path}/{name}")
        parameters = {each["name"]: each for each in value.get("parameters", ())}
        for name, each in {**value.get("properties", {}), **parameters}.items():
            yield f"{path}/{name}", each.get("description", "")


@per_vendor
def test_every_parameter_and_member_is_described(vendor: Vendor) -> None:
    found = list(described_in(describe(vendor, vendor.settings_model())))
    assert len(found) > 10
    assert [path for path, description in found if not BEGIN.match(description)] == []


@per_vendor
def test_every_described_path_parameter_exists(vendor: Vendor) -> None:
    for operation in vendor.operations.values():
        names = set(re.findall(r"\{(\w+)", " ".join(operation.paths)))
        assert set(operation.path_parameters) == names, operation.name
