"""Requests with the exact bytes that real clients send, and with unusual forms."""

from __future__ import annotations

import base64
import io
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from PIL import Image as PillowImage

FIELDS = {"api_key": "key", "api_secret": "secret"}
MEMBERS = ["request_id", "obj_file", "time_used", "transfer_matrix"]


def send(
    client: httpx.Client, content_type: str, body: bytes, chunk: int = 1 << 20
) -> tuple[int, dict[str, Any]]:
    """Send a request over a bare socket, and return the status and the JSON body of the response."""
    url = client.base_url
    head = (
        f"POST /facepp/v1/3dface HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head.encode())
        for begin in range(0, len(body), chunk):
            connection.sendall(body[begin : begin + chunk])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    lines, _, content = answer.partition(b"\r\n\r\n")
    return int(lines.split()[1]), json.loads(content)


def part(headers: str, content: bytes, boundary: str = "b") -> bytes:
    return f"--{boundary}\r\n{headers}\r\n\r\n".encode() + content + b"\r\n"


def fields(boundary: str = "b", extra: str = "") -> bytes:
    return b"".join(
        part(f'Content-Disposition: form-data; name="{name}"{extra}', value.encode(), boundary)
        for name, value in FIELDS.items()
    )


def what_stays(answer: dict[str, Any]) -> tuple[str, list[list[float]]]:
    """Return the parts that are the same in all responses to the same photo."""
    return answer["obj_file"], answer["transfer_matrix"]


def test_a_file_disposition_and_no_line_after_the_end(
    client: httpx.Client, face_jpeg: bytes, answer: dict[str, Any]
) -> None:
    photo = part(
        'Content-Disposition: file; name="image_file_1"; filename="a.jpg"\r\nContent-Type: image/jpeg',
        face_jpeg,
    )
    status, found = send(client, "multipart/form-data; boundary=b", fields() + photo + b"--b--")
    assert (status, list(found)) == (200, MEMBERS)
    assert what_stays(found) == what_stays(answer)


def test_a_boundary_named_boundary_and_a_media_type_jpg(
    client: httpx.Client, face_jpeg: bytes, answer: dict[str, Any]
) -> None:
    photo = part(
        'Content-Disposition: form-data; name="image_file_1"; filename="image_file_1"\r\nContent-Type: jpg',
        face_jpeg,
        "boundary",
    )
    body = fields("boundary") + photo + b"--boundary--\r\n"
    status, found = send(client, "multipart/form-data; boundary=boundary", body)
    assert (status, list(found)) == (200, MEMBERS)
    assert what_stays(found) == what_stays(answer)


def test_parts_with_a_length_and_an_unknown_type(
    client: httpx.Client, face_jpeg: bytes, answer: dict[str, Any]
) -> None:
    photo = part(
        'Content-Disposition: form-data; name="image_file_1"; filename="a"\r\n'
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(face_jpeg)}",
        face_jpeg,
    )
    text = "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
    keys = b"".join(
        part(f'Content-Disposition: form-data; name="{name}"{text}{len(value)}', value.encode())
        for name, value in FIELDS.items()
    )
    status, found = send(client, 'multipart/form-data; boundary="b"', keys + photo + b"--b--\r\n")
    assert (status, list(found)) == (200, MEMBERS)
    assert what_stays(found) == what_stays(answer)


def test_a_flag_as_text_and_as_a_file_at_once(
    client: httpx.Client, face_jpeg: bytes, answer: dict[str, Any]
) -> None:
    flags = part('Content-Disposition: form-data; name="texture"', b"1") + part(
        'Content-Disposition: form-data; name="texture"; filename="texture"', b"1"
    )
    photo = part('Content-Disposition: form-data; name="image_file_1"; filename="a.jpg"', face_jpeg)
    body = fields() + flags + photo + b"--b--\r\n"
    status, found = send(client, "multipart/form-data; boundary=b", body)
    assert (status, list(found)) == (200, [*MEMBERS[:2], "texture_img", *MEMBERS[2:]])
    assert what_stays(found) == what_stays(answer)
    with PillowImage.open(io.BytesIO(base64.b64decode(found["texture_img"], validate=True))) as texture:
        assert (texture.format, texture.size) == ("JPEG", (1024, 1024))


def test_empty_second_and_third_images(
    client: httpx.Client, face_jpeg: bytes, answer: dict[str, Any]
) -> None:
    empty = b"".join(
        part(f'Content-Disposition: form-data; name="image_file_{number}"; filename=""', b"")
        for number in (2, 3)
    )
    photo = part('Content-Disposition: form-data; name="image_file_1"; filename="a.jpg"', face_jpeg)
    body = fields() + empty + photo + b"--b--\r\n"
    status, found = send(client, "multipart/form-data; boundary=b", body)
    assert len(found["transfer_matrix"]) == 1
    assert (status, list(found)) == (200, MEMBERS)
    assert what_stays(found) == what_stays(answer)


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8"]
)
def test_a_form_in_lower_case_and_with_a_charset(
    client: httpx.Client, face_jpeg: bytes, answer: dict[str, Any], content_type: str
) -> None:
    encoded = quote_plus(base64.b64encode(face_jpeg).decode())
    body = f"api_key=key&api_secret=secret&image_base64_1={encoded}&return_gesture=1"
    status, found = send(client, content_type, body.encode())
    assert (status, list(found)) == (200, MEMBERS)
    assert what_stays(found) == what_stays(answer)


MULTIPART = "multipart/form-data; boundary=b"
DISPOSITION = 'Content-Disposition: form-data; name="image_file_1"'
END = b"--b--\r\n"


def with_headers(photo: bytes, headers: str) -> bytes:
    return fields() + part(headers, photo) + END


def with_base64(photo: bytes, before: bytes, after: bytes = b"") -> bytes:
    text = before + base64.encodebytes(photo).replace(b"\n", b"\r\n") + after
    return fields() + part('Content-Disposition: form-data; name="image_base64_1"', text) + END


FORMS: dict[str, Callable[[bytes], tuple[str, bytes]]] = {
    "preamble": lambda photo: (
        MULTIPART,
        b"Ignored.\r\n\r\n--\r\n--c\r\n--bb\r\n" * 2000 + with_headers(photo, f'{DISPOSITION}; filename="a"'),
    ),
    "epilogue": lambda photo: (
        MULTIPART,
        with_headers(photo, f'{DISPOSITION}; filename="a"')
        + part('Content-Disposition: form-data; name="mtl"', b"1"),
    ),
    "padding": lambda photo: (
        MULTIPART,
        with_headers(photo, f'{DISPOSITION}; filename="a"').replace(b"--b\r\n", b"--b \t\r\n"),
    ),
    "bare line ends": lambda photo: (
        MULTIPART,
        fields().replace(b"\r\n", b"\n")
        + f'--b\n{DISPOSITION}; filename="a"\n\n'.encode()
        + photo
        + b"\n--b--\n",
    ),
    "filename*": lambda photo: (
        MULTIPART,
        with_headers(photo, f"{DISPOSITION}; filename*=UTF-8''bild%20%C3%BC.jpg"),
    ),
    "filename with quotes": lambda photo: (
        MULTIPART,
        with_headers(photo, f'{DISPOSITION}; filename="a\\"b;c%22d\\e\u00fc.jpg"'),
    ),
    "folded and unquoted": lambda photo: (
        MULTIPART,
        with_headers(
            photo,
            "CONTENT-disposition:form-data ;\r\n\tFileName = a.jpg ;\r\n  NAME=image_file_1\r\nX:\r\n y",
        ),
    ),
    "type in upper case": lambda photo: (
        'MULTIPART/FORM-DATA; charset=utf-8; BOUNDARY="b"',
        with_headers(photo, f'{DISPOSITION}; filename="a"'),
    ),
    "special boundary": lambda photo: (
        'multipart/form-data; boundary="a:(x)/?=,.\'+_ z"',
        with_headers(photo, f'{DISPOSITION}; filename="a"').replace(b"--b", b"--a:(x)/?=,.'+_ z"),
    ),
    "unknown charset": lambda photo: (
        "multipart/form-data; boundary=b; charset=undefined",
        with_headers(photo, f'{DISPOSITION}; filename="a"'),
    ),
    "base64 part": lambda photo: (
        MULTIPART,
        with_headers(
            base64.encodebytes(photo), f'{DISPOSITION}; filename="a"\r\nContent-Transfer-Encoding: base64'
        ),
    ),
    "white space before a data URI": lambda photo: (
        MULTIPART,
        with_base64(photo, b"\n  data:image/jpeg;base64,"),
    ),
    "white space around base64": lambda photo: (MULTIPART, with_base64(photo, b"\t\r\n ", b"\r\n ")),
}
"""Unusual ways to write a form. All have the same fields as the plain form."""


@pytest.mark.parametrize("chunk", [1 << 20, 1000])
@pytest.mark.parametrize("kind", FORMS)
def test_an_unusual_form_is_read_like_a_plain_one(
    client: httpx.Client, face_jpeg: bytes, answer: dict[str, Any], kind: str, chunk: int
) -> None:
    content_type, body = FORMS[kind](face_jpeg)
    status, found = send(client, content_type, body, chunk)
    assert (status, list(found)) == (200, MEMBERS)
    assert what_stays(found) == what_stays(answer)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MULTIPART, with_headers(bytes(5000), f'{DISPOSITION}; filename="a"')[:-2000]),
        (MULTIPART, fields() + b"--b\r\nContent-Dispo"),
        (MULTIPART, fields()),
        (MULTIPART, fields() + part("Content-Type: text/plain", b"no name") + END),
        (MULTIPART, part('Content-Disposition: form-data; name="x"', b"") * 1001 + fields() + END),
        (MULTIPART, b"\0\xff"),
        (MULTIPART, END),
        ("multipart/form-data", fields() + END),
        ("multipart/form-data; boundary=" + "b" * 300, fields("b" * 300)),
        ("multipart/form-data; boundary=" + "b" * 300, b"shorter than the journal shows"),
    ],
)
def test_a_broken_form_has_no_fields(client: httpx.Client, content_type: str, body: bytes) -> None:
    assert send(client, content_type, body) == (400, {"error_message": "MISSING_ARGUMENTS: api_key"})
