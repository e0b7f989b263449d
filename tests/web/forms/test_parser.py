"""Multipart forms as clients send them, in chunks of any size."""

from __future__ import annotations

import email.policy
import re
import tracemalloc
from collections.abc import Callable
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.web.forms.parser import (
    HEAD_BYTES,
    PADDING_BYTES,
    MultipartError,
    MultipartParser,
    PartHead,
    is_multipart,
)

Parts = list[tuple[str, str | None, bytes]]
Form = tuple[str, bytes]

TYPE = "multipart/form-data; boundary=b"
FIELD = b'Content-Disposition: form-data; name="a"'
END = b"--b--\r\n"
ONE: Parts = [("a", None, b"v")]


def parsed(content_type: str, chunks: list[bytes]) -> tuple[Parts, bool]:
    """Return the parts that are complete, and whether the form is."""
    parts: Parts = []
    try:
        parser = MultipartParser(content_type)
        for chunk in chunks:
            for event in parser.feed(chunk):
                if isinstance(event, PartHead):
                    head, content = event, b""
                elif isinstance(event, bytes):
                    assert event
                    content += event
                else:
                    parts.append((head.name, head.file_name, content))
        parser.end()
    except MultipartError:
        return parts, False
    return parts, True


def chunked(body: bytes, size: int) -> list[bytes]:
    return [body[begin : begin + size] for begin in range(0, len(body), size)]


def read(body: bytes, content_type: str = TYPE) -> Parts | None:
    """Return the parts, None for a broken form. They must be the same for chunks of any size."""
    sizes = (1, 2, 3, 7) if len(body) < HEAD_BYTES else (7,)  # a long head takes long in short chunks
    found = [parsed(content_type, chunked(body, size)) for size in (*sizes, 100, len(body) + 1)]
    assert all(each == found[0] for each in found)
    parts, is_complete = found[0]
    return parts if is_complete else None


def read_head(body: bytes, content_type: str = TYPE) -> PartHead:
    """Return the first head."""
    head = next(iter(MultipartParser(content_type).feed(body)))
    assert isinstance(head, PartHead)
    return head


def part(headers: bytes = FIELD, content: bytes = b"v", line_end: bytes = b"\r\n") -> bytes:
    return line_end.join([b"--b", headers, b"", content, b""])


@pytest.mark.parametrize(
    "preamble",
    [
        b"This is ignored.\r\n",
        b"\r\n",
        b"\n\r\n",
        b"--\r\n--c\r\n--bb\r\n --b\r\nx--b\r\n-- b\r\n---b\r\n",
        b'it ends with --b\r\nContent-Disposition: form-data; name="no"\r\n\r\nno\r\n',
        b"long\r\n--line" * 3000 + b"\r\n",
        b"-" * 5000 + b"\r\n",
        b'Content-Type: multipart/form-data; boundary="b"\r\nMIME-Version: 1.0\r\n\r\n',
        b"--b" + b" " * (PADDING_BYTES + 1) + b"\r\n",
        b"\n--b\r--b\r\n",
    ],
)
def test_a_preamble_is_ignored(preamble: bytes) -> None:
    assert read(preamble + part() + END) == ONE


@pytest.mark.parametrize(
    "epilogue", [b"", b"\r\n", b"  \r\n", b"bye", b"\r\n" + part() + END, b"-b\r\n" + part()]
)
def test_an_epilogue_is_ignored(epilogue: bytes) -> None:
    assert read(part() + b"--b--" + epilogue) == ONE


@pytest.mark.parametrize("padding", [b" ", b"\t \t", b" " * PADDING_BYTES])
def test_a_boundary_can_be_padded(padding: bytes) -> None:
    line = b"--b" + padding + b"\r\n"
    body = (part() + part()).replace(b"--b\r\n", line) + b"--b--" + padding + b"\r\n"
    assert read(body) == ONE + ONE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"\r",
        b"\n",
        b"\r\n--bx\r\n--\r\n-\r\n--b -\r\n --b\r\n",
        b"\r\n--b\r",
        b"\n--b\n\n--b--\n",
        b" --b\r\n",
        b"\r\n\r\n--",
        bytes(range(256)) * 20,
    ],
)
def test_content_can_look_like_a_boundary(content: bytes) -> None:
    assert read(part(content=content) + END) == [("a", None, content)]


@pytest.mark.parametrize("content", [b"", b"v\r", b"\r\n\0\r\n--b\r\r\n", b"v\r\r--b--", b"x--b\ny"])
def test_lines_can_end_in_lf_if_the_first_boundary_does(content: bytes) -> None:
    body = part(content=content, line_end=b"\n") + part(line_end=b"\n") + b"--b--\n"
    assert read(body) == [("a", None, content), *ONE]


def test_bare_line_ends_are_noted() -> None:
    noted = []
    for body in (part(), part(line_end=b"\n"), b"text\n" + part(), END):
        parser = MultipartParser(TYPE)
        list(parser.feed(body))
        noted.append(parser.has_bare_line_ends)
    assert noted == [False, True, False, False]


def test_a_part_without_content_needs_no_second_line_end() -> None:
    for line_end in (b"\r\n", b"\n"):
        empty = b"--b" + line_end + FIELD + line_end * 2
        assert read(empty + empty + part(line_end=line_end) + b"--b--") == [("a", None, b"")] * 2 + ONE


@pytest.mark.parametrize(
    ("disposition", "name", "file_name"),
    [
        (b'form-data; name="a"', "a", None),
        (b"form-data;name=a;filename=f.jpg", "a", "f.jpg"),
        (b'form-data ;\tFILENAME =  f.jpg ; Name = "a"', "a", "f.jpg"),
        (b'file; filename="f.jpg"; name="a"', "a", "f.jpg"),
        (b'form-data; name="a"; filename=""', "a", ""),
        (b'form-data; name=""', "", None),
        (b'form-data; name="a"; filename; ;', "a", None),
        (b'form-data; name="a"; other; =x; filename="f"; ', "a", "f"),
        (b"form-data; name=\"a\"; filename*=UTF-8''bild%20%C3%BC.jpg", "a", "bild ü.jpg"),
        (b"form-data; name=\"a\"; filename*=utf-8'de'%e2%82%ac", "a", "€"),
        (b"form-data; name=\"a\"; filename*=iso-8859-1''%A3%20rates", "a", "£ rates"),
        (b"form-data; name=\"a\"; filename*=GBK''%D5%D5.jpg", "a", "照.jpg"),
        (b'form-data; name="a"; filename*="UTF-8\'\'%C3%BC"', "a", "ü"),
        (b"form-data; name=\"a\"; filename*=idna''%C3%BC", "a", "ü"),
        (b"form-data; name=\"a\"; filename*=''%FC", "a", "ü"),
        (b'form-data; name="a"; filename*=plain%20', "a", "plain "),
        (b'form-data; name="a"; filename="x"; filename*=UTF-8\'\'%C3%BC', "a", "ü"),
        (b'form-data; name="a"; filename*=UTF-8\'\'%C3%BC; filename="x"', "a", "ü"),
        (b"form-data; name*=UTF-8''%C3%BC; filename*0*=UTF-8''%C3%BC%20; filename*1=\"b;\"", "ü", "ü b;"),
        (b'form-data; name="a"; filename*1=b; filename*0=a', "a", "ab"),
        (b'form-data; name="a"; filename="a\\"b\\\\.jpg"', "a", 'a"b\\.jpg'),
        (b'form-data; name="a"; filename="a%22b%0D%0A.jpg"', "a", 'a"b\r\n.jpg'),
        (b'form-data; name="a"; filename="100%25 %20.jpg"', "a", "100%25 %20.jpg"),
        (b'form-data; name="a"; filename="a;b=c; name=d"', "a", "a;b=c; name=d"),
        (b'form-data; name="a"; filename="a\\b.jpg"', "a", "a\\b.jpg"),
        (b'form-data; filename="a\\"; name="b"', "b", "a\\"),
        (b'form-data; name="a"; filename="a"b".jpg"', "a", 'a"b".jpg'),
        (b'form-data; name="a"; filename="open; x=y', "a", "open; x=y"),
        (b'form-data; name="a"; filename="C:\\new folder\\b.jpg"', "a", "b.jpg"),
        ('form-data; name="ü"; filename="à\u0085\u00a0照.jpg"'.encode(), "ü", "à\u0085\u00a0照.jpg"),
        (b'form-data; name="a"; filename="\xfc.jpg"', "a", "ü.jpg"),
        (b'form-data;\r\n name="a";\r\n\tfilename="two  \r\n words"', "a", "two   words"),
    ],
)
def test_names_are_kept(disposition: bytes, name: str, file_name: str | None) -> None:
    for header in (b"Content-Disposition:" + disposition, b"content-DISPOSITION : \t" + disposition + b" \t"):
        assert read(part(header) + END) == [(name, file_name, b"v")]
        folded_elsewhere = b"Content-Type:\r\n text/plain\r\n" + header + b"\r\nno header\r\nX-Other:"
        assert read(part(folded_elsewhere) + END) == [(name, file_name, b"v")]


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="{}"',
        'MULTIPART/Form-Data ;BOUNDARY = "{}"',
        'multipart/form-data; charset="utf-8"; boundary="{}"; other',
    ],
)
@pytest.mark.parametrize(
    "boundary", ["b", "gc0p4Jq0:(x)/?=,.'+_ z", "----WebKitFormBoundaryA", "--", "=_b;c", "." * 256]
)
def test_a_boundary_has_any_characters(content_type: str, boundary: str) -> None:
    body = (part() + part() + END).replace(b"--b", b"--" + boundary.encode())
    assert is_multipart(content_type.format(boundary))
    assert read(body, content_type.format(boundary)) == ONE + ONE


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", part() + END),
        ('multipart/form-data; boundary=""', part() + END),
        (f"multipart/form-data; boundary={'b' * 257}", (part() + END).replace(b"--b", b"--" + b"b" * 257)),
        (TYPE, b""),
        (TYPE, b'{"a": 1}'),
        (TYPE, part()),
        (TYPE, part()[:-1]),
        (TYPE, part() + b"--b-"),
        (TYPE, b"--b\r\nContent-Dis"),
        (TYPE, part(b"Content-Disposition: form-data") + END),
        (TYPE, part(b"X: y") + END),
        (TYPE, b"--b\r\n\r\nv\r\n" + END),
        (TYPE, part(b"X: " + b"y" * HEAD_BYTES + b"\r\n" + FIELD) + END),
        (TYPE, part(b"X: y\r\n" * (HEAD_BYTES // 6 + 1) + FIELD) + END),
    ],
)
def test_a_form_is_broken_without_boundary_name_or_end(content_type: str, body: bytes) -> None:
    assert read(body, content_type) is None


def test_a_form_can_be_empty_and_parts_can_repeat() -> None:
    assert read(END) == []
    assert read(part(content=b"") + part() + part() + END) == [("a", None, b""), *ONE, *ONE]
    assert read(part(b"X: y\r\n" * 500 + FIELD) + END) == ONE


@pytest.mark.parametrize(
    ("encoding", "encoded", "content"),
    [
        (b"base64", b"/9j/\r\n4AAQSg==\r\n", b"\xff\xd8\xff\xe0\x00\x10J"),
        (b"BASE64", b"/9j/4AAQSg", b"\xff\xd8\xff\xe0\x00\x10J"),
        (b"base64", b"", b""),
        (b"base64", b"-/-9-j-/-Q", b"\xff\xd8\xff"),
        (b"base64", b"QQ==QQ==", b"A"),
        (b"quoted-printable", b"a=3Db=\r\nc=\nd=3d", b"a=bcd="),
        (b"Quoted-Printable", b"=", b"="),
        (b"quoted-printable", b"=4", b"=4"),
        (b"quoted-printable", b"=x=\r=C3=BC=\r\n", "=x=\rü".encode()),
        (b"binary", b"a=3D", b"a=3D"),
        (b"8bit", b"/9j/", b"/9j/"),
        (b"x-other", b"/9j/", b"/9j/"),
    ],
)
def test_encoded_content_is_decoded(encoding: bytes, encoded: bytes, content: bytes) -> None:
    body = part(FIELD + b"\r\nContent-Transfer-Encoding: " + encoding, encoded) + END
    assert read(body) == [("a", None, content)]


@pytest.mark.parametrize(
    ("form", "of_part", "data", "text"),
    [
        ("", "", "ü".encode(), "ü"),
        ("", "", b"\xfc", None),
        ("", "; charset=iso-8859-1", b"\xfc", "ü"),
        ("; charset=latin-1", "", b"\xfc", "ü"),
        ("; charset=latin-1", '; charset="UTF-8"', "ü".encode(), "ü"),
        ("", "; charset=gbk", b"\xd5\xd5", "照"),
        ("", "; charset=us-ascii", "ü".encode(), "ü"),
        ("", "; charset=Windows-1252", b"\x80", "€"),
        ("", "; charset=utf-16", "ü".encode("utf-16"), "ü"),
        ("; charset=idna", "; charset=punycode", "ü..".encode(), "ü.."),
        ("; charset=undefined", "; charset=hex", b"a", "a"),
        ("; charset=" + "x" * 9000, "; charset=\xfc", b"a", "a"),
    ],
)
def test_text_is_decoded_by_the_charset_of_the_part_or_the_form(
    form: str, of_part: str, data: bytes, text: str | None
) -> None:
    header = FIELD + b"\r\nContent-Type: text/plain" + of_part.encode("latin-1")
    assert read_head(part(header) + END, TYPE + form).text(data) == text


def test_the_same_head_is_decoded_by_the_charset_of_each_form() -> None:
    body = part(b'Content-Disposition: form-data; name="\xd5\xd5"') + END
    names = {"gbk": "照", "latin-1": "ÕÕ", "big5": "桽"}
    for charset, name in [*names.items(), *names.items()]:
        assert read(body, f"{TYPE}; charset={charset}") == [(name, None, b"v")]


def test_long_heads_are_not_remembered() -> None:
    tracemalloc.start()
    for number in range(100):
        head = b'Content-Disposition: form-data; name="%d"; filename="%b"' % (number, b"x" * 2000)
        assert read_head(part(head) + END).name == str(number)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 100_000


@pytest.mark.parametrize(
    "begin", [b"", b"--", b"--b\r\nX: ", part()[:-2], part() + b"--b" + b" " * 200, part() + END]
)
@pytest.mark.parametrize("chunk", [b"x" * 10_000, b"\r\n--b" * 2000, b"\r" * 10_000, b" " * 10_000])
def test_an_endless_form_is_not_held_in_memory(begin: bytes, chunk: bytes) -> None:
    parser = MultipartParser(TYPE)
    list(parser.feed(begin))
    tracemalloc.start()
    try:
        for _ in range(100):
            for event in parser.feed(chunk):
                del event
    except MultipartError:
        pass
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert parser.held_bytes < 2 * HEAD_BYTES
    assert held < 100_000


# What encoders write

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    # A parser cannot distinguish these from escaped quotes, or from a folder.
    lambda name: not re.search(r'%22|%[01][0-9A-Fa-f]|\\[\\"]|\A[A-Za-z]:\\', name)
)
CONTENTS = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from([b"\r", b"\n", b"--", b"b", b"-", b" ", b"\r\n--b"]), max_size=40).map(b"".join),
)
PARTS = st.lists(st.tuples(NAMES, st.none() | NAMES, CONTENTS), max_size=5)


def browsers(parts: Parts) -> Form:
    """Encode a form as the HTML standard says."""

    def quoted(name: str) -> str:
        return name.replace("\n", "%0A").replace("\r", "%0D").replace('"', "%22")

    return _encoded(parts, quoted)


def curls(parts: Parts) -> Form:
    """Encode a form as curl does with ``--form-escape``: with a backslash before quotes and backslashes."""
    return _encoded(parts, lambda name: re.sub(r'([\\"])', r"\\\1", re.sub(r"[\r\n]", " ", name)))


def _encoded(parts: Parts, quoted: Callable[[str], str]) -> Form:
    body = b""
    for name, file_name, content in parts:
        file = "" if file_name is None else f'; filename="{quoted(file_name)}"\r\nContent-Type: image/jpeg'
        head = f'--long-boundary\r\nContent-Disposition: form-data; name="{quoted(name)}"{file}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return "multipart/form-data; boundary=long-boundary", body + b"--long-boundary--\r\n"


def httpxs(parts: Parts) -> Form:
    """Encode a form with HTTPX."""
    files = [(name, (file_name, content)) for name, file_name, content in parts]
    request = httpx.Request("POST", "http://a", files=files)
    return request.headers["content-type"], request.read()


def emails(parts: Parts) -> Form:
    """Encode a form with ``email``: its own headers before the form, encoded content, folded headers."""
    message = MIMEMultipart("form-data")
    for name, file_name, content in parts:
        each: MIMEApplication | MIMEText
        if file_name is None:
            each = MIMEText(content.decode("latin-1"), "plain", "utf-8")
            each.add_header("Content-Disposition", "form-data", name=name)
        else:
            each = MIMEApplication(content)
            each.add_header("Content-Disposition", "form-data", name=name, filename=file_name)
        message.attach(each)
    body = message.as_bytes(policy=email.policy.compat32.clone(linesep="\r\n"))
    return message["content-type"], body


PIECES = st.lists(st.integers(1, 40), min_size=1, max_size=10)


def cut(body: bytes, sizes: list[int]) -> list[bytes]:
    """Return ``body`` in pieces of these sizes, over and over."""
    pieces: list[bytes] = []
    at = 0
    while at < len(body):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(body[at : at + size])
        at += size
    return pieces


@pytest.mark.parametrize("encode", [browsers, curls, httpxs])
@given(parts=PARTS, sizes=PIECES)
def test_what_an_encoder_writes_is_read_back(
    encode: Callable[[Parts], Form], parts: Parts, sizes: list[int]
) -> None:
    if encode is curls:  # curl does not escape line ends
        parts = [(re.sub(r"[\r\n]", " ", n), f and re.sub(r"[\r\n]", " ", f), c) for n, f, c in parts]
    if not parts:
        return
    content_type, body = encode(parts)
    assert parsed(content_type, cut(body, sizes)) == (parts, True)
    assert parsed(content_type, [b"text\r\n" + body + b"text"]) == (parts, True)


PRINTABLE = NAMES.filter(str.isprintable)


@given(
    parts=st.lists(
        st.tuples(PRINTABLE, st.none() | PRINTABLE, st.binary(max_size=200)), min_size=1, max_size=3
    ),
    sizes=PIECES,
)
def test_what_pythons_email_package_writes_is_read_back(parts: Parts, sizes: list[int]) -> None:
    content_type, body = emails(parts)
    sent = [(name, file, data if file else data.decode("latin-1").encode()) for name, file, data in parts]
    assert parsed(content_type, cut(body, sizes)) == (sent, True)


@given(
    tokens=st.lists(
        st.sampled_from(
            [
                b"--b", b"--b--", b"--", b"-", b"\r\n", b"\r", b"\n", b" ", b"\t", b"x", b"=", b"\0",
                b"\r\n\r\n", b"--b\r\n", b"--b\n", b"\r\n--b", FIELD, FIELD + b'; filename="f"',
                b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable",
                part(), part(line_end=b"\n"), END,
            ]
        ),
        max_size=25,
    ),
    sizes=PIECES,
)  # fmt: skip
def test_chunks_do_not_matter_for_any_bytes(tokens: list[bytes], sizes: list[int]) -> None:
    body = b"".join(tokens)
    assert parsed(TYPE, cut(body, sizes)) == parsed(TYPE, [body])
