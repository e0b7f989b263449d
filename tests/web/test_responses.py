from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Message

from emulator.web.capture.capture import Capture
from emulator.web.capture.content import DIGEST, JSON_BYTES, WITHOUT_BLOBS, without_blobs
from emulator.web.responses import BlobResponse, HashedResponse
from emulator.world.redaction import Redaction

SCOPE = {"type": "http", "headers": [], "query_string": b"", "path": "/", "method": "GET"}


def sent(response: Response) -> list[Message]:
    messages: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        messages.append(message)

    asyncio.run(response(SCOPE, receive, send))
    return messages


def captured(*messages: Message) -> dict[str, Any] | None:
    """Return the response body that the journal shows after these messages."""
    capture = Capture(SCOPE)
    for message in messages:
        capture.note_sent(message)
    assert capture.close() < 2000 + JSON_BYTES
    return capture.shown_answer(Redaction((), None))


# Around the shortest base64 that is described, and with all three forms of padding.
SIZES = (0, 1, 765, 766, 767, 768, 5000)


@pytest.mark.parametrize("size", SIZES)
def test_the_body_and_what_the_journal_shows_are_those_of_encoded_json(size: int) -> None:
    blob = bytes(range(256)) * 20
    blob = blob[:size]
    document = {"é": 1.5, "a": base64.b64encode(blob).decode(), "long": "x y " * 2000, "b": None}
    members = {name: json.dumps(value) for name, value in document.items()}
    response = BlobResponse({**members, "a": blob}, comma=", ", colon=": ", end="\n")
    body = f"{json.dumps(document)}\n".encode()
    assert response.body == body
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(body))
    assert response.without_blobs() == without_blobs(body)
    start, end = sent(response)
    assert captured(start, end) == captured(start, {"type": "http.response.body", "body": body})


def test_an_object_has_no_spaces_unless_they_are_wanted() -> None:
    assert BlobResponse({"a": "1", "b": b"?"}).body == b'{"a":1,"b":"Pw=="}'
    assert BlobResponse({}).body == b"{}"


def test_the_journal_does_not_decode_the_base64() -> None:
    start, end = sent(BlobResponse({"a": bytes(5000)}))
    end[WITHOUT_BLOBS] = lambda: b'{"a": "described"}'
    shown = captured(start, end)
    assert shown is not None
    assert (shown["json"], shown["bytes"]) == ({"a": "described"}, len(end["body"]))


def test_the_journal_shows_a_body_that_is_cut_off_as_it_was_sent() -> None:
    start, end = sent(BlobResponse({"a": bytes(5000)}))
    cut = {"type": "http.response.body", "body": end["body"][:-9], "more_body": True}
    assert captured(start, {**end, **cut}) == captured(start, cut)


def test_a_response_that_is_too_long_without_its_blobs_is_only_counted() -> None:
    document = {"a": base64.b64encode(bytes(5000)).decode(), "long": "x y " * JSON_BYTES}
    response = BlobResponse({"a": bytes(5000), "long": json.dumps(document["long"])}, comma=", ", colon=": ")
    start, end = sent(response)
    shown = captured(start, end)
    assert shown == captured(start, {"type": "http.response.body", "body": json.dumps(document).encode()})
    assert shown is not None
    assert shown["kind"] == "binary"


@pytest.mark.parametrize("content_type", ["image/png", "text/plain"])
@pytest.mark.parametrize("size", [1, 5000])
def test_the_journal_takes_the_digest_of_the_application(content_type: str, size: int) -> None:
    body = b"x" * size
    start, end = sent(HashedResponse(body, hashlib.sha256(body), {"x": "y"}, content_type))
    assert (b"x", b"y") in start["headers"]
    assert end["body"] == body
    plain = {"type": "http.response.body", "body": body}
    assert captured(start, end) == captured(start, plain)
    others = {**end, DIGEST: hashlib.sha256(b"other")}
    shown = captured(start, others)
    assert shown is not None
    is_kept = size == 1 and content_type == "text/plain"
    assert shown.get("sha256") == (None if is_kept else hashlib.sha256(b"other").hexdigest())
    cut = {**others, "body": body[:-1], "more_body": True}
    assert captured(start, cut, plain) == captured(start, {**cut, DIGEST: None}, plain)
