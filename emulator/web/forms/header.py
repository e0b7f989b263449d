"""Parsing of headers with parameters, such as ``Content-Disposition``."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from encodings import normalize_encoding
from encodings.aliases import aliases
from urllib.parse import unquote_to_bytes

CODECS = frozenset(
    {
        "ascii", "big5", "big5hkscs", "cp1250", "cp1251", "cp1252", "cp932", "cp949", "cp950", "euc_jp",
        "euc_kr", "gb18030", "gb2312", "gbk", "iso8859_15", "iso8859_2", "koi8_r", "latin_1", "shift_jis",
        "utf_16", "utf_16_be", "utf_16_le", "utf_8", "utf_8_sig",
    }
)  # fmt: skip
"""Codecs that a client may name. Some of Python's other codecs take quadratic time, or do not yield text."""

PARAMETER = re.compile(
    r"""[ \t]*;[ \t;]*(?P<name>[^=;"\s]*)[ \t]*(?:=[ \t]*(?:"""
    # A quote ends a value only before a semicolon or the end, because some clients do not escape quotes.
    r""""(?:(?P<escaped>(?:[^"\\]|\\.)*+)"(?=[ \t]*(?:;|\Z))|(?P<quoted>.*?)"(?=[ \t]*(?:;|\Z))"""
    r"""|(?P<open>.*))"""
    r"""|(?P<token>[^;]*)))?[^;]*""",
    re.ASCII | re.DOTALL,
)
"""A parameter, with the semicolons before it."""

PARAMETERS = 100
"""Largest number of parameters to read from a header."""

SECTION = re.compile(r"(?P<name>[^*]+)(?:\*(?P<number>[0-9]{1,3}))?(?P<encoded>\*)?")
"""The name of a parameter: ``name``, ``name*``, ``name*0`` or ``name*0*``."""

BACKSLASH = re.compile(r'\\(["\\])')


@dataclass(frozen=True)
class Header:
    """A header with parameters.

    Attributes
    ----------
    kind : str
        The value before the first parameter, in lower case.
    parameters : mapping of str to str
        The parameters, with names in lower case. An extended parameter, such as ``filename*``, has the name
        without the asterisk here, and replaces the plain parameter of this name.
    extended : frozenset of str
        Names of the parameters that are extended.
    """

    kind: str
    parameters: Mapping[str, str]
    extended: frozenset[str]


def parse_header(text: str, decode: Callable[[bytes], str] = lambda raw: raw.decode("latin-1")) -> Header:
    r"""Return the header in ``text``, which has one character for each byte.

    ``decode`` decodes the values of all parameters that are not extended. In a quoted value, ``\"`` stands
    for a quote, and ``\\`` for a backslash. A backslash before any other character is kept, because browsers
    do not escape backslashes.
    """
    kind = text.partition(";")[0]
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bytes, bool]]] = defaultdict(dict)
    for found in itertools.islice(PARAMETER.finditer(text, len(kind)), PARAMETERS):
        values = found.group("escaped", "quoted", "open", "token")
        name = SECTION.fullmatch(found["name"].lower())
        value = next((value for value in values if value is not None), None)
        if name is None or value is None:
            continue
        value = value.strip(" \t") if found["token"] is not None else BACKSLASH.sub(r"\1", value)
        raw = value.encode("latin-1", "replace")
        if name["number"] is None and name["encoded"] is None:
            plain[name["name"]] = decode(raw)
        else:
            sections[name["name"]][int(name["number"] or 0)] = raw, name["encoded"] is not None
    extended = {name: _joined(parts) for name, parts in sections.items()}
    return Header(media_type(text), {**plain, **extended}, frozenset(extended))


def media_type(text: str) -> str:
    """Return the value before the first parameter of a header, in lower case."""
    return text.partition(";")[0].strip(" \t").lower()


def codec(charset: str) -> str | None:
    """Return the name of a charset's codec, or None if the codec is not in ``CODECS``."""
    # Do not use ``codecs.lookup``: it imports a module for each name, and keeps unknown names in memory.
    name = normalize_encoding(charset).lower()
    name = aliases.get(name, name)
    return name if name in CODECS else None


def decoded(data: bytes, charsets: Iterable[str]) -> str | None:
    """Decode ``data`` with the first of ``charsets`` that fits. Return None if none of them fits."""
    for charset in charsets:
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(charset)
    return None


def _joined(sections: Mapping[int, tuple[bytes, bool]]) -> str:
    """Return the value of an extended parameter (RFC 2231, 3 and 4).

    ``sections`` has, by number of the section, its bytes and whether they are percent-encoded.
    """
    charset, joined = "", b""
    for number, (value, is_encoded) in sorted(sections.items()):
        if not is_encoded:
            joined += value
            continue
        encoded = value
        if number == 0 and value.count(b"'") >= 2:
            begin, _, encoded = value.split(b"'", 2)
            charset = begin.decode("latin-1")
        joined += unquote_to_bytes(encoded)
    text = decoded(joined, filter(None, (codec(charset), "utf-8")))
    return joined.decode("latin-1") if text is None else text
