from __future__ import annotations

from typing import Any

import pytest

from emulator.vendors.metahuman.glb_const.store import SCHEMA, Schemas


@pytest.mark.parametrize("schema", [{}, {"hair": []}, {"hair": ["a", "b"], "body": ["a"]}])
def test_a_valid_schema_in_a_snapshot_is_accepted(schema: dict[str, Any]) -> None:
    Schemas().checks[SCHEMA]({"schema": schema})


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": []},
        {"schema": {"hair": "a"}},
        {"schema": {"hair": ["a", "a"]}},
        {"schema": {"hair": [1]}},
    ],
)
def test_an_invalid_schema_in_a_snapshot_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        Schemas().checks[SCHEMA](document)
