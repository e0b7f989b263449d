"""Percent-decoding, compared with the standard library."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from urllib.parse import quote_plus, unquote_plus, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.web.forms import percent
from emulator.web.forms.percent import unquoted, unquoted_text

PIECES = st.sampled_from(
    "% = + 2 B f x _ %3D %3d %25 %00 %0A %C3%BC %FF ÿ Ã¼ \n \r \0".encode("latin-1").split(b" ")
)
TEXTS = st.lists(PIECES, max_size=12).map(b"".join)


@pytest.fixture(scope="module", autouse=True)
def _fast_for_short_texts() -> Iterator[None]:
    """Decode short texts like long ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(percent, "SHORT_BYTES", -1)
        yield


@given(data=st.one_of(TEXTS, st.binary(max_size=9)))
def test_any_bytes_are_decoded_as_by_the_standard_library(data: bytes) -> None:
    assert unquoted(data) == unquote_to_bytes(data)
    assert unquoted_text(data) == unquote_plus(data.decode("latin-1"))
    assert unquoted_text(bytearray(data)) == unquoted_text(data)


def test_a_picture_is_decoded_without_the_standard_librarys_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    text = base64.b64encode(bytes(range(256)) * 9).decode()
    monkeypatch.delattr(percent, "unquote_to_bytes")
    assert unquoted_text(quote_plus(text).encode()) == text
    assert unquoted_text(quote_plus(f"{text} ü=%").encode() + b"!") == f"{text} ü=%!"
