"""Parsing of the fields of a request."""

from __future__ import annotations

import asyncio
import base64

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData, QueryParams, UploadFile

from emulator.vendors.faceplusplus.fields import Fields, decode_base64
from emulator.world.error_catalogue import VendorError

URL = "/facepp/v1/3dface"


@given(
    data=st.binary(),
    prefix=st.sampled_from(["", "data:image/png;base64,", "DATA:;base64,", "data:image/jpeg; base64 ,"]),
    space=st.text(" \t\r\n", max_size=4),
)
def test_base64_is_decoded_with_any_prefix_and_white_space(data: bytes, prefix: str, space: str) -> None:
    text = base64.b64encode(data).decode()
    lines = "\r\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    assert decode_base64(space + prefix + space + lines + space) == data
    assert decode_base64(prefix + text.rstrip("=")) == data


@pytest.mark.parametrize("text", ["!", "a", "äöü=", "data:image/png;base64,$$$$"])
def test_malformed_base64_is_none(text: str) -> None:
    assert decode_base64(text) is None


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "text/plain"])
def test_a_body_that_is_not_a_form_has_no_fields(client: httpx.Client, content_type: str) -> None:
    response = client.post(URL, content=b'{"api_key": "key"}', headers={"content-type": content_type})
    assert (response.status_code, response.text) == (400, '{"error_message":"MISSING_ARGUMENTS: api_key"}')


@pytest.mark.parametrize(
    ("body", "query", "text"),
    [
        ([], "a=1&a=2", "1"),
        ([], "a=&a=2&a=3", "2"),
        ([], "a=", None),
        ([("a", "3"), ("a", "4")], "a=1", "3"),
        ([("a", "")], "a=1", "1"),
    ],
)
def test_the_first_value_that_is_not_empty_is_used(
    body: list[tuple[str, UploadFile | str]], query: str, text: str | None
) -> None:
    assert Fields(FormData(body), QueryParams(query)).text("a") == text


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("100", 100), (" 7 ", 7), ("+7", 7), ("007", 7), ("-0", 0), ("", 50), (None, 50)],
)
def test_an_integer_is_read_with_its_default(text: str | None, number: int) -> None:
    fields = Fields(FormData([] if text is None else [("a", text)]), QueryParams())
    assert asyncio.run(fields.integer("a", 0, 100, default=50)) == number


@pytest.mark.parametrize("text", ["-1", "101", "1.0", "1e1", "0x1", "ten", "1 0", "٣", " ", "9" * 5000])
def test_what_is_no_integer_in_the_range_is_refused(text: str) -> None:
    fields = Fields(FormData([("a", text)]), QueryParams())
    with pytest.raises(VendorError, match="BAD_ARGUMENTS: a"):
        asyncio.run(fields.integer("a", 0, 100, default=50))
