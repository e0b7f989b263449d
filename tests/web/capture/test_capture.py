from __future__ import annotations

import base64
import hashlib
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.web.capture.capture import Capture, PlainBody
from emulator.web.capture.content import JSON_BYTES, Content, without_blobs
from emulator.world.redaction import Redaction


def drawn(size: int) -> bytes:
    """Return pseudo-random bytes, the same on every run."""
    return random.Random(0).randbytes(size)  # noqa: S311 - no secret


NOTHING = Redaction((), None)


def test_no_bytes_of_a_picture_are_kept() -> None:
    data = drawn(300_000)
    body = PlainBody("image/jpeg", data[:10])
    for begin in range(0, len(data), 65536):
        body.feed(data[begin : begin + 65536])
    assert body.kept_bytes == 0
    digest = {"bytes": 300_000, "sha256": hashlib.sha256(data).hexdigest()}
    assert body.shown(NOTHING) == {"kind": "binary", **digest, "content_type": "image/jpeg"}


def test_json_over_the_limit_is_only_counted() -> None:
    text = json.dumps({"a": "ö" * JSON_BYTES}).encode()
    body = PlainBody("application/json", text)
    body.feed(text)
    assert body.kept_bytes == JSON_BYTES
    assert body.shown(NOTHING)["bytes"] == len(text)


def test_base64_in_json_is_replaced_by_the_digest_of_its_bytes() -> None:
    data = drawn(3000)
    digest = {"bytes": 3000, "sha256": hashlib.sha256(data).hexdigest(), "base64": True}
    for text in (
        base64.b64encode(data).decode(),
        "data:image/png;base64," + base64.b64encode(data).decode(),
        base64.encodebytes(data).decode(),
    ):
        document = json.loads(
            without_blobs(json.dumps({"a": text, "b": "short", "c": "x y " * 900}).encode())
        )
        assert document == {"a": digest, "b": "short", "c": "x y " * 900}


@given(chunks=st.lists(st.binary(max_size=9)), limit=st.integers(0, 20))
def test_a_content_counts_and_hashes_all_bytes_and_keeps_the_first(chunks: list[bytes], limit: int) -> None:
    content = Content(limit)
    for chunk in chunks:
        content.feed(chunk)
    data = b"".join(chunks)
    assert content.described() == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert (bytes(content.kept), content.is_whole) == (data[:limit], len(data) <= limit)


def answered(body: bytes, content_type: bytes) -> Capture:
    scope = {"type": "http", "headers": [], "query_string": b"", "path": "/", "method": "GET"}
    capture = Capture(scope)
    headers = [(b"content-type", content_type)]
    capture.note_sent({"type": "http.response.start", "status": 200, "headers": headers})
    capture.note_sent({"type": "http.response.body", "body": body})
    assert capture.is_complete
    return capture


def test_a_response_is_kept_without_its_pictures() -> None:
    picture = base64.b64encode(drawn(1_000_000)).decode()
    capture = answered(json.dumps({"texture": picture, "n": 1}).encode(), b"application/json")
    assert capture.close() < 3000
    shown = capture.shown_answer(NOTHING)
    assert shown is not None
    assert (shown["json"]["n"], shown["json"]["texture"]["bytes"]) == (1, 1_000_000)
    capture = answered(b"\x89PNG\r\n\x1a\n" + drawn(999_992), b"image/png")
    assert capture.close() < 3000
    shown = capture.shown_answer(NOTHING)
    assert shown is not None
    assert (shown["kind"], shown["bytes"]) == ("binary", 1_000_000)


PICTURE = base64.b64encode(drawn(2000)).decode()


SHOWN_OF_IT = {"bytes": 2000, "sha256": hashlib.sha256(base64.b64decode(PICTURE)).hexdigest(), "base64": True}


def test_a_small_picture_is_not_shown_in_broken_json() -> None:
    broken = PlainBody("application/json", b"{")
    broken.feed(f'{{"image": "{PICTURE}", }}'.encode())
    assert broken.shown(NOTHING)["text"] == f'{{"image": "{json.dumps(SHOWN_OF_IT)}", }}'


def sent(data: bytes, content_type: str, size: int) -> dict[str, Any]:
    """Return the recorded form of a body that arrives in pieces of ``size`` bytes."""
    headers = [(b"content-type", content_type.encode())]
    capture = Capture({"method": "POST", "path": "/", "query_string": b"", "headers": headers})
    for begin in range(0, len(data), size):
        piece = data[begin : begin + size]
        capture.note_received({"type": "http.request", "body": piece, "more_body": True})
    capture.note_received({"type": "http.request", "body": b"", "more_body": False})
    assert capture.sent is not None
    return capture.sent.shown(NOTHING)


RAW = {
    "JPEG": b"\xff\xd8\xff\xe0&a=b&" + drawn(900),
    "PNG": b"\x89PNG\r\n\x1a\n" + drawn(900),
    "GIF": b"GIF89a" + drawn(900),
    "WebP": b"RIFF\x01\x02\x03\x04WEBPVP8 " + drawn(900),
    "BMP": b"BM\x36\x10\x0e\0\0\0\0\0" + drawn(900),
    "HEIC": b"\0\0\0\x18ftypheic" + drawn(900),
    "TIFF": b"II*\0" + drawn(900),
}


@pytest.mark.parametrize("size", [1, 7, 100, 65536])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "text/plain",
        "application/json",
        "image/jpeg",
        "",
    ],
)
@pytest.mark.parametrize("kind", RAW)
def test_a_picture_is_recorded_as_a_digest_for_any_content_type(
    kind: str, content_type: str, size: int
) -> None:
    data = RAW[kind]
    assert sent(data, content_type, size) == {
        "kind": "binary",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "content_type": content_type or None,
    }


def test_a_text_that_begins_like_a_bitmap_is_recorded_as_text() -> None:
    assert sent(b"BMI=22&mode=a", "application/x-www-form-urlencoded", 1000)["fields"] == {
        "BMI": "22", "mode": "a",
    }  # fmt: skip
    assert sent(b"BM or not", "text/plain", 1000)["text"] == "BM or not"


def test_a_body_with_a_nul_byte_is_recorded_as_binary() -> None:
    data = b"It begins like a text, and then \0\1\2"
    digest = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert sent(data, "text/plain", 1000) == {"kind": "binary", **digest, "content_type": "text/plain"}


@pytest.mark.parametrize("value", [b"\xff\xd8\xff raw", b"zero \0 in it", b"\xc3"])
def test_a_form_field_that_is_no_text_is_recorded_as_a_digest(value: bytes) -> None:
    digest = {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    part = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + value + b"\r\n--b--\r\n"
    assert sent(part, "multipart/form-data; boundary=b", 1000)["fields"] == {"image": digest}
    form = b"mode=a&image=" + value + b"&" + value + b"=a"
    assert sent(form, "application/x-www-form-urlencoded", 1000)["fields"] == {
        "mode": "a", "image": digest, json.dumps(digest): "a",
    }  # fmt: skip


@pytest.mark.parametrize("picture", RAW.values(), ids=RAW)
def test_a_picture_in_a_response_of_type_html_is_recorded_as_a_digest(picture: bytes) -> None:
    capture = answered(picture, b"text/html")
    capture.close()
    assert capture.shown_answer(NOTHING) == {
        "kind": "binary",
        "bytes": len(picture),
        "sha256": hashlib.sha256(picture).hexdigest(),
        "content_type": "text/html",
    }


@pytest.mark.parametrize("body", [rb'{"\ud800": "\udfff"}', b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"])
def test_a_recorded_body_can_be_encoded_as_json(body: bytes) -> None:
    sent = PlainBody("application/json", body)
    sent.feed(body)
    assert json.dumps(sent.shown(NOTHING), ensure_ascii=False).encode()


def test_a_long_header_is_truncated() -> None:
    headers = [(b"x", b"a" * 1_000_000)]
    scope = {"method": "GET", "path": "/", "query_string": b"", "headers": headers}
    assert Capture(scope).close() < 20_000


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_form_is_recorded_whatever_the_case_of_its_type_and_broken_if_it_is_cut_off(size: int) -> None:
    content_type = 'Multipart/Form-Data; charset=utf-8; BOUNDARY="b"'
    part = b'--b\r\nContent-Disposition: form-data; name="mode"\r\n\r\na\r\n'
    form = {"kind": "multipart", "bytes": len(part) + 6, "fields": {"mode": "a"}}
    assert sent(b"text\r\n" + part, content_type, size) == {**form, "is_broken": True}
    # A lone CR does not end a line, so the first boundary is the last.
    assert sent(b"\r" + part + b"--b--", content_type, size) == {**form, "fields": {}}
    assert sent(b"\n" + part + b"--b--", content_type, size) == form
    for boundary in ("", "; boundary=", "; boundary=" + "b" * 257):
        assert sent(part, f"multipart/form-data{boundary}", size)["kind"] == "binary"
