"""Forms with the exact bytes that clients send, and unusual forms."""

from __future__ import annotations

import base64
import json
import re
import socket
from typing import Any

import httpx
import pytest

URL = "/face_recon/run_pipeline"
MULTIPART = "multipart/form-data; boundary=b"
PHOTO = 'Content-Disposition: form-data; name="image_bytes"'
END = b"--b--\r\n"


def send(
    client: httpx.Client, body: bytes, content_type: str = MULTIPART, path: str = URL
) -> tuple[int, dict[str, Any]]:
    """Send a request over a bare socket in small pieces, and return the status and the JSON body."""
    url = client.base_url
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head.encode())
        for begin in range(0, len(body), 1000):
            connection.sendall(body[begin : begin + 1000])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    lines, _, content = answer.partition(b"\r\n\r\n")
    return int(lines.split()[1]), json.loads(content)


def part(headers: str, content: bytes) -> bytes:
    return f"--b\r\n{headers}\r\n\r\n".encode() + content + b"\r\n"


TOKEN = part('Content-Disposition: form-data; name="token"', b"t")


def without_url(result: dict[str, Any]) -> dict[str, Any]:
    """Return the parts that are the same in all responses to the same photo."""
    face = {name: value for name, value in result["face"].items() if name != "textureUrl"}
    return {**result, "face": face}


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (f'{PHOTO}; filename="plain.jpg"', "plain"),
        (f"{PHOTO}; filename*=UTF-8''bild%20%C3%BC.jpg", "bild"),
        (f"{PHOTO}; filename=plain.jpg; filename*=UTF-8''star.jpg", "star"),
        (f'{PHOTO};\r\n\tfilename="folded.jpg"', "folded"),
        (f'{PHOTO.upper().replace("IMAGE_BYTES", "image_bytes")} ; FILENAME = "upper.jpg"', "upper"),
        (f'{PHOTO}; filename="a%22;b.jpg"', "a_b"),
        (f'{PHOTO}; filename="a\\";b.jpg"', "a_b"),
    ],
)
def test_the_texture_has_the_name_of_the_file(
    client: httpx.Client, face_jpeg: bytes, result: dict[str, Any], headers: str, name: str
) -> None:
    status, document = send(client, TOKEN + part(headers, face_jpeg) + END)
    assert status == 200, document
    url = document["result"]["face"]["textureUrl"]
    assert re.fullmatch(rf"/static/{name}_[0-9a-f]{{16}}_texture\.png", url)
    assert without_url(document["result"]) == without_url(result)


@pytest.mark.parametrize(
    "kind", ["preamble", "padding", "line ends", "base64", "charset", "type", "epilogue"]
)
def test_an_unusual_form_is_read_like_a_plain_one(
    client: httpx.Client, face_jpeg: bytes, result: dict[str, Any], kind: str
) -> None:
    photo = f'{PHOTO}; filename="a.jpg"'
    plain = TOKEN + part(photo, face_jpeg) + END
    encoded = part(f"{photo}\r\nContent-Transfer-Encoding: base64", base64.encodebytes(face_jpeg))
    head = f"--b\n{photo}\n\n".encode()
    bodies = {
        "preamble": b"Ignored.\r\n--\r\n--c\r\n" * 5000 + plain,
        "padding": plain.replace(b"--b\r\n", b"--b \t\r\n"),
        "line ends": TOKEN.replace(b"\r\n", b"\n") + head + face_jpeg + b"\n--b--",
        "base64": TOKEN + encoded + END,
        "epilogue": plain + b"Ignored.\r\n" + plain,
    }
    types = {"charset": f"{MULTIPART}; charset=undefined", "type": 'Multipart/FORM-DATA; BOUNDARY = "b"'}
    status, document = send(client, bodies.get(kind, plain), types.get(kind, MULTIPART))
    assert status == 200, document
    assert without_url(document["result"]) == without_url(result)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MULTIPART, (TOKEN + part(f'{PHOTO}; filename="a"', bytes(5000)))[:-2000]),
        (MULTIPART, TOKEN + b"--b\r\nContent-Dispo"),
        (MULTIPART, TOKEN),
        (MULTIPART, TOKEN + part("Content-Type: text/plain", b"no name") + END),
        (MULTIPART, part(f'{PHOTO}; filename="a"', b"") * 1001 + TOKEN + END),
        (MULTIPART, b"\0\xff"),
        ("multipart/form-data", TOKEN + END),
        ("multipart/form-data; boundary=" + "b" * 300, b"shorter than the journal shows"),
    ],
)
def test_a_broken_form_is_answered_as_fastapi_does(
    client: httpx.Client, content_type: str, body: bytes
) -> None:
    for path in (URL, "/auth/token"):
        answer = send(client, body, content_type, path)
        assert answer == (400, {"detail": "There was an error parsing the body"})


def test_a_token_is_registered_with_an_unusual_form(client: httpx.Client) -> None:
    mail = part(
        "Content-Disposition:form-data ;\r\n NAME=mail\r\nContent-Type: text/plain; charset=latin-1", b"\xfc"
    )
    status, document = send(client, b"Ignored.\r\n" + mail + b"--b--", path="/auth/token")
    assert status == 200
    plain = client.post("/auth/token", data={"mail": "\u00fc"}).json()
    assert {len(each["result"]["token"]) for each in (document, plain)} == {36}
