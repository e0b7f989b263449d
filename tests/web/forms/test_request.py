"""Forms of requests: their limits, their files, and the same fields in the journal."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from emulator.web.capture.form import FormBody
from emulator.web.forms import request as module
from emulator.web.forms.request import FormRequest
from emulator.world.redaction import Redaction
from emulator.world.warnings import WARNINGS

TYPE = "multipart/form-data; boundary=b"
URLENCODED = "Application/X-WWW-Form-Urlencoded; charset=UTF-8"
MIB = 1024 * 1024


class Warned:
    """A call that records its warnings."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, str]] = []

    def warn(self, code: str, detail: str) -> None:
        assert code in WARNINGS
        self.warnings.append((code, detail))


def requested(body: bytes, size: int = 65536, content_type: str = TYPE) -> tuple[FormRequest, Warned]:
    """Return a request with a body that arrives in chunks of ``size`` bytes."""
    chunks = iter([body[begin : begin + size] for begin in range(0, len(body), size)])

    async def receive() -> dict[str, Any]:
        chunk = next(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    call = Warned()
    headers = [(b"content-type", content_type.encode())]
    return FormRequest(
        {"type": "http", "app": None, "headers": headers, "state": {"call": call}}, receive
    ), call


def part(headers: str, content: bytes = b"v") -> bytes:
    return f"--b\r\nContent-Disposition: form-data; {headers}\r\n\r\n".encode() + content + b"\r\n"


async def fields(request: Request, **limits: int) -> list[tuple[str, Any]]:
    """Return the fields: the text, or the file name, the type and the bytes."""
    found: list[tuple[str, Any]] = []
    async with request.form(**limits) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                found.append((name, (value.filename, value.content_type, await value.read())))
            else:
                found.append((name, value))
    return found


@pytest.mark.parametrize("size", [1, 7, 65536])
def test_a_body_is_read_once_and_can_then_be_read_in_every_way(size: int) -> None:
    async def read() -> None:
        form = part('name="a"') + b"--b--\r\n"
        request, _ = requested(form, size)
        assert await request.body() == await request.body() == form
        assert b"".join([chunk async for chunk in request.stream()]) == form
        assert await fields(request) == [("a", "v")]
        request, _ = requested(form, size)
        assert b"".join([chunk async for chunk in request.stream()]) == form
        with pytest.raises(RuntimeError, match="Stream consumed"):
            await request.body()

    asyncio.run(read())


def test_a_body_whose_client_leaves_is_not_returned() -> None:
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": b"be", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    with pytest.raises(ClientDisconnect):
        asyncio.run(FormRequest({"type": "http", "headers": []}, receive).body())


def test_fields_are_in_their_order_and_files_have_all_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPOOL_BYTES", MIB)
    picture = bytes(range(256)) * 8 * 1024  # 2 MiB, so that it is moved to disk
    body = (
        part('name="a"')
        + part('name="f"; filename="\u00fc.jpg"\r\nContent-Type: image/jpeg', picture)
        + part('name="a"', "\u00fc".encode())
        + part('name="a"', b"\xfc")
        + part('name="f"; filename=""', b"")
        + b"--b--"
    )
    request, call = requested(body)
    assert asyncio.run(fields(request)) == [
        ("a", "v"),
        ("f", ("\u00fc.jpg", "image/jpeg", picture)),
        ("a", "\u00fc"),
        ("a", "\u00fc"),
        ("f", ("", None, b"")),
    ]
    assert call.warnings == []


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SpooledTemporaryFile[bytes]]]:
    """The files that are opened, each with the threads that write to it once it is on disk."""
    files: list[SpooledTemporaryFile[bytes]] = []

    def spooled(max_size: int) -> SpooledTemporaryFile[bytes]:
        files.append(SpooledTemporaryFile(max_size))  # noqa: SIM115 - the fixture closes it
        return files[-1]

    monkeypatch.setattr(module, "SpooledTemporaryFile", spooled)
    monkeypatch.setattr(module, "SPOOL_BYTES", MIB)
    yield files
    for file in files:
        file.close()


FILE = 'name="f"; filename="f.jpg"'


def test_large_files_are_moved_to_disk_outside_the_event_loop(
    opened: list[SpooledTemporaryFile[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    write: Callable[..., int] = SpooledTemporaryFile.write

    def noted(file: SpooledTemporaryFile[bytes], data: bytes) -> int:
        if file.tell() + len(data) > MIB:
            threads.append(threading.get_ident())
        return write(file, data)

    monkeypatch.setattr(SpooledTemporaryFile, "write", noted)
    request, _ = requested(part(FILE, bytes(MIB - 10)) + part(FILE, bytes(2 * MIB)) + b"--b--")

    async def on_disk() -> list[bool]:
        async with request.form():
            return [file._rolled for file in opened]  # type: ignore[attr-defined] # noqa: SLF001 - no other way

    assert asyncio.run(on_disk()) == [False, True]
    assert threads
    assert threading.get_ident() not in threads
    assert all(file.closed for file in opened)


@pytest.mark.parametrize(
    "body",
    [
        part(FILE) + part(FILE)[:-3],
        part(FILE) + part("no=name") + b"--b--",
        part(FILE) * 3 + b"--b--",
        part(FILE) + part('name="a"') * 4 + b"--b--",
        part(FILE) + part('name="a"', b"x" * 101) + b"--b--",
    ],
)
@pytest.mark.parametrize("size", [1, 65536])
def test_a_broken_form_or_one_over_a_limit_is_refused_and_its_files_are_closed(
    opened: list[SpooledTemporaryFile[bytes]], body: bytes, size: int
) -> None:
    request, _ = requested(body, size)
    with pytest.raises(HTTPException, match="There was an error parsing the body") as refused:
        asyncio.run(fields(request, max_files=2, max_fields=3, max_part_size=100))
    assert refused.value.status_code == 400
    assert opened
    assert all(file.closed for file in opened)


def test_a_form_at_its_limits_is_read() -> None:
    body = part(FILE, bytes(1000)) * 2 + part('name="a"', b"x" * 100) * 3 + b"--b--"
    request, _ = requested(body)
    assert len(asyncio.run(fields(request, max_files=2, max_fields=3, max_part_size=100))) == 5


def test_files_are_closed_when_the_client_disconnects(opened: list[SpooledTemporaryFile[bytes]]) -> None:
    request, _ = requested(part(FILE)[:-3])
    receive = request.receive

    async def receive_and_fail() -> Any:
        message = await receive()
        if not message["more_body"]:
            raise asyncio.CancelledError
        return message

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(fields(FormRequest(request.scope, receive_and_fail)))
    assert [file.closed for file in opened] == [True]


def test_a_form_that_many_servers_read_differently_gets_warnings() -> None:
    body = (
        part("name*=UTF-8''a; filename*=UTF-8''%C3%BC; other*=UTF-8''o")
        + part("name=c\r\nContent-Transfer-Encoding: Base64", b"YQ==")
        + part("name=d\r\nContent-Transfer-Encoding: binary")
        + b"--b--\r\n"
    )
    request, call = requested(body.replace(b"\r\n", b"\n"))
    assert asyncio.run(fields(request)) == [("a", ("\u00fc", None, b"v")), ("c", "a"), ("d", "v")]
    assert call.warnings == [
        ("form-not-portable", "lines end in LF instead of CRLF"),
        ("form-not-portable", "a: filename* instead of filename"),
        ("form-not-portable", "a: name* instead of name"),
        ("form-not-portable", "c: Content-Transfer-Encoding is base64"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"&a=%C3%BC+b&&=c&d&e=%&\xfc=\xfc%41&" + b"f=" + b"%2B=+" * 20,
        b"a=" + b"x" * 99,
        b"a=" + b"x" * 100,
        b"a&" * 10,
    ],
)
@pytest.mark.parametrize("size", [1, 3, 65536])
def test_an_urlencoded_form_is_read_as_by_starlette(body: bytes, size: int) -> None:
    found: list[Any] = []
    for kind in (FormRequest, Request):
        request, _ = requested(body, size, URLENCODED)
        reading = fields(kind(request.scope, request.receive), max_fields=9, max_part_size=100)
        try:
            found.append(asyncio.run(reading))
        except HTTPException as refused:
            found.append((refused.status_code, refused.detail))
    assert found[0] == found[1]


def test_other_forms_are_read_as_before() -> None:
    request, _ = requested(b"a=b+c&a=%C3%BC", content_type=URLENCODED)
    assert asyncio.run(fields(request)) == [("a", "b c"), ("a", "\u00fc")]
    request, _ = requested(b'{"a": 1}', content_type="application/json")
    assert asyncio.run(fields(request)) == []


@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from(["a", "\u00fc", 'x"; filename="y']),
            st.sampled_from(["", "; filename=f", "; filename*=UTF-8''%C3%BC", ';\r\n filename="a%22;b.jpg"']),
            st.sampled_from(
                ["", "\r\nContent-Type: image/jpeg", "\r\nContent-Type: text/plain; charset=latin-1"]
            ),
            st.sampled_from(["", "\r\nContent-Transfer-Encoding: base64"]),
            st.text("YQ\u00fc\r\n-b", max_size=8).map(str.encode),
        ),
        max_size=5,
    ),
    before=st.sampled_from([b"", b"text\r\n", b"--b"]),
    end=st.sampled_from([b"--b--", b"--b-- \r\ntext", b"", b"--b\r\n"]),
    line_end=st.sampled_from([b"\r\n", b"\n"]),
    size=st.integers(1, 50),
)
def test_the_journal_shows_the_fields_that_the_vendor_reads(
    parts: list[tuple[str, str, str, str, bytes]], before: bytes, end: bytes, line_end: bytes, size: int
) -> None:
    sent = [
        part(
            f'name="{name}"{file}{content_type}{encoding}',
            base64.encodebytes(content) if encoding else content,
        )
        for name, file, content_type, encoding, content in parts
    ]
    body = (before + b"".join(sent) + end).replace(b"\r\n", line_end)
    journal = FormBody(TYPE)
    for begin in range(0, len(body), size):
        journal.feed(body[begin : begin + size])
    journal.end()
    shown = journal.shown(Redaction((), None))
    request, _ = requested(body, size)
    try:
        read = asyncio.run(fields(request))
    except HTTPException:
        assert shown["is_broken"]
        return
    expected: dict[str, Any] = {}
    for name, value in read:
        expected.setdefault(name, []).append(value if isinstance(value, str) else described(*value))
    assert shown == {
        "kind": "multipart",
        "bytes": len(body),
        "fields": {name: values if len(values) > 1 else values[0] for name, values in expected.items()},
    }


def described(file_name: str, content_type: str | None, data: bytes) -> dict[str, Any]:
    digest = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {**digest, "file_name": file_name, "content_type": content_type}
