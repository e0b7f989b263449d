from __future__ import annotations

import base64
import hashlib
import random
import tracemalloc
from typing import Any

import pytest

from emulator.web.capture.content import TEXT_BYTES
from emulator.web.capture.form import FormBody
from emulator.world.redaction import Redaction


def drawn(size: int) -> bytes:
    """Return pseudo-random bytes, the same on every run."""
    return random.Random(0).randbytes(size)  # noqa: S311 - no secret


NOTHING = Redaction((), None)


MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\nsecret-token\r\n'
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="m.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n"
    b"\xff\xd8\r\n--not the end\r\n--b\r\n"
    b'Content-Disposition: form-data; name="mode"\r\n\r\na\r\n--b\r\n'
    b'Content-Disposition: form-data; name="mode"\r\n\r\nb\r\n--b--\r\n'
)


URLENCODED = b"token=secret-token&image=%2B%2Fab&mode=a+b&mode=%C3%A4&empty=&last"


PICTURE = base64.b64encode(drawn(2000)).decode()


SHOWN_OF_IT = {"bytes": 2000, "sha256": hashlib.sha256(base64.b64decode(PICTURE)).hexdigest(), "base64": True}


def chunked(body: Any, data: bytes, size: int) -> Any:
    for begin in range(0, len(data), size):
        body.feed(data[begin : begin + size])
    return body.shown(Redaction(("token",), None))["fields"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_a_multipart_form_is_parsed_the_same_in_pieces_of_any_size(size: int) -> None:
    photo = b"\xff\xd8\r\n--not the end"
    fields = chunked(FormBody("multipart/form-data; boundary=b"), MULTIPART, size)
    token = fields.pop("token")
    assert token.startswith("sec…#")
    assert "secret-token" not in token
    assert fields == {
        "image": {
            "bytes": len(photo),
            "sha256": hashlib.sha256(photo).hexdigest(),
            "file_name": "m.jpg",
            "content_type": "image/jpeg",
        },
        "mode": ["a", "b"],
    }


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_an_urlencoded_form_is_parsed_the_same_in_pieces_of_any_size(size: int) -> None:
    fields = chunked(FormBody("application/x-www-form-urlencoded"), URLENCODED, size)
    del fields["token"]
    assert fields == {"image": "+/ab", "mode": ["a b", "ä"], "empty": "", "last": ""}


def test_a_broken_form_shows_the_fields_before_the_break() -> None:
    body = FormBody("multipart/form-data; boundary=b")
    body.feed(MULTIPART[:80] + b"\r\n--bro")
    body.feed(b"ken")
    assert list(body.shown(NOTHING)["fields"]) == ["token"]
    broken = FormBody("multipart/form-data; boundary=b")
    broken.feed(b"no boundary at all")
    broken.end()
    assert broken.shown(NOTHING) == {"kind": "multipart", "bytes": 18, "fields": {}, "is_broken": True}


def test_a_long_field_is_only_counted() -> None:
    form = FormBody("application/x-www-form-urlencoded")
    form.feed(b"a=" + b"x" * (TEXT_BYTES + 1))
    assert form.kept_bytes <= TEXT_BYTES + 1
    assert form.shown(NOTHING)["fields"]["a"]["bytes"] == TEXT_BYTES + 1


def test_a_small_picture_is_not_shown_in_a_form() -> None:
    form = FormBody("application/x-www-form-urlencoded")
    form.feed(f"image={PICTURE.replace('+', '%2B')}&mode=a".encode())
    assert form.shown(NOTHING)["fields"] == {"image": SHOWN_OF_IT, "mode": "a"}


def test_a_long_field_name_is_truncated() -> None:
    form = FormBody("application/x-www-form-urlencoded")
    form.feed(b"a" * 1_000_000)
    form.shown(NOTHING)
    assert form.kept_bytes < 1000


@pytest.mark.parametrize(
    ("content_type", "begin"),
    [
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"a=b&"),
        ("multipart/form-data; boundary=b", b"--b\r\nX-Long: "),
    ],
)
def test_an_endless_form_is_not_held_in_memory(content_type: str, begin: bytes) -> None:
    form = FormBody(content_type)
    form.feed(begin)
    tracemalloc.start()
    for _ in range(100):
        form.feed(b"x" * 10_000)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 < form.kept_bytes < 20_000
    assert held < 50_000
    assert form.shown(NOTHING)["bytes"] == len(begin) + 1_000_000


def test_kept_bytes_include_the_names_and_type_of_a_file() -> None:
    form = FormBody("multipart/form-data; boundary=b")
    name = "n" * 100
    form.feed(
        f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        f"Content-Type: {name}\r\n\r\n".encode()
    )
    assert form.kept_bytes >= 300


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_field_name_is_parsed_the_same_in_pieces_of_any_size(size: int) -> None:
    body = b"%C3%A4+b=1&c%4=2&" + b"%C3%A4" * 1000 + b"=3&%FF=4"
    fields = chunked(FormBody("application/x-www-form-urlencoded"), body, size)
    described = f'{{"bytes": 1, "sha256": "{hashlib.sha256(bytes([255])).hexdigest()}"}}'
    assert fields == {"\u00e4 b": "1", "c%4": "2", "\u00e4" * 200: "3", described: "4"}


def test_a_secret_in_a_field_name_is_masked() -> None:
    form = FormBody("application/x-www-form-urlencoded")
    form.feed(b"token: 'secret-token', key-of-mine")
    shown = str(form.shown(Redaction(("token",), "key-of-mine")))
    assert "secret-token" not in shown
    assert "key-of-mine" not in shown
