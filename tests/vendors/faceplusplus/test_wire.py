from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.vendors.faceplusplus.wire import compact_json, render_compact, render_spaced

NUMBERS = st.decimals(0, 100, places=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3) | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def reference(value: Any) -> str:
    """Return compact JSON, written part by part."""
    match value:
        case Decimal():
            return str(value)
        case list():
            return f"[{','.join(map(reference, value))}]"
        case dict():
            return f"{{{','.join(f'{json.dumps(name)}:{reference(one)}' for name, one in value.items())}}}"
    return json.dumps(value)


@given(value=VALUES)
def test_compact_json_has_no_spaces_and_keeps_the_decimals_of_a_decimal(value: Any) -> None:
    assert compact_json(value) == reference(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([Decimal("1.500"), {"b": 1, "c": Decimal(0)}, "ü"], '[1.500,{"b":1,"c":0},"\\u00fc"]'),
        ([], "[]"),
        ({"a": {}, "b": None, "c": 1.50}, '{"a":{},"b":null,"c":1.5}'),
    ],
)
def test_compact_json_is_written_like_this(value: Any, text: str) -> None:
    assert compact_json(value) == text


def test_bytes_become_base64() -> None:
    body = {"a": b"?", "b": [1, {"c": 2}], "d": None}
    assert render_spaced(body).body == b'{"a": "Pw==", "b": [1, {"c": 2}], "d": null}'
    assert render_compact(body).body == b'{"a":"Pw==","b":[1,{"c":2}],"d":null}\n'
    for response in (render_spaced(body), render_compact(body)):
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.headers["access-control-allow-origin"] == "*"
