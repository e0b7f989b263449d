"""Requests with the exact bytes of real clients, even where these are unusual."""

from __future__ import annotations

import base64
import io
import json
import socket
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from PIL import Image as PillowImage

FIELDS = {"api_key": "key", "api_secret": "secret"}
MEMBERS = ["request_id", "obj_file", "time_used", "transfer_matrix"]


def send(client: httpx.Client, content_type: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Send a request over a bare socket, and return the status and the JSON body of the response."""
    url = client.base_url
    head = (
        f"POST /facepp/v1/3dface HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head.encode() + body)
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
    """Return the part that is the same in every response to the same photo."""
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


def test_a_boundary_called_boundary_and_a_type_called_jpg(
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


def test_parts_that_say_their_length_and_know_no_type(
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
