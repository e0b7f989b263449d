"""What must not be read by whoever reads a journal: credentials and signatures."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from emulator.world.text import printable

HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-amz-security-token"}
)
"""Header fields that carry credentials, whoever's they are."""

SHORTEST = 6
"""A credential shorter than this is not looked for in other texts, which would be full of it."""


DEEPEST = 100
"""How deeply a document may be nested that is shown as one: whoever writes or reads JSON stops somewhere."""


class TooDeep(ValueError):
    """The document is nested too deeply to be shown as one."""


def mask(secret: str) -> str:
    """Return what may be shown of a credential: how it begins, and by what to tell it from others."""
    shown = secret[:3] if len(secret) >= 2 * SHORTEST else ""
    digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{shown}…#{digest[:8]}"


class Redaction:
    """Takes the secrets of one call out of what is shown of it.

    Parameters
    ----------
    names : iterable of str
        The fields, members and query parameters that carry secrets, in any case.
    credential : str or None
        Whose call it is: masked wherever it stands.
    """

    def __init__(self, names: Iterable[str], credential: str | None) -> None:
        self._names = frozenset(name.lower() for name in names)
        listed = "|".join(re.escape(name) for name in sorted(self._names))
        self._in_urls = re.compile(rf"\b({listed})=([^&\s\"'<>]+)", re.IGNORECASE) if listed else None
        self._in_literals = _in_literals(listed) if listed else None
        self._credential = credential if credential is not None and len(credential) >= SHORTEST else None

    def is_secret(self, name: str) -> bool:
        """Return whether a field of that name carries a secret."""
        return name.lower() in self._names

    def text(self, text: str) -> str:
        """Return ``text`` without the secrets that stand in it, and so that it can be sent."""
        text = printable(text)
        if self._in_urls is not None and "=" in text:
            text = self._in_urls.sub(lambda found: f"{found[1]}={mask(found[2])}", text)
        if self._in_literals is not None and ('"' in text or "'" in text):
            text = self._in_literals.sub(_masked_literal, text)
        if self._credential is not None and self._credential in text:
            text = text.replace(self._credential, mask(self._credential))
        return text

    def headers(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
        """Return the headers as pairs of name and value."""
        shown = []
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name.lower() in HEADERS or self.is_secret(name):
                scheme, space, secret = value.partition(" ")
                value = f"{scheme} {mask(secret)}" if space else mask(value)
            shown.append((name, self.text(value)))
        return shown

    def query(self, query: bytes) -> list[tuple[str, str]]:
        """Return the query's parameters as pairs of name and value."""
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace")
        return [(name, mask(value) if self.is_secret(name) else self.text(value)) for name, value in pairs]

    def document(self, value: Any, depth: int = 0) -> Any:
        """Return a JSON value without the secrets in it.

        Raises
        ------
        TooDeep
            If it is nested too deeply, ``depth`` levels above it included.
        """
        if depth > DEEPEST:
            raise TooDeep
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(name): _masked(member) if self.is_secret(name) else self.document(member, depth + 1)
                for name, member in value.items()
            }
        if isinstance(value, list):
            return [self.document(member, depth + 1) for member in value]
        return value


def _in_literals(names: str) -> re.Pattern[str]:
    """Return what finds secrets in JSON that is broken, or that Python or JavaScript writes so.

    Quotes may be single or double, and escaped, where one text stands in another. The value may be cut
    off, be bytes, a number, or a list up to its first bracket that closes.
    """
    quote = r"""\\{0,3}["']"""
    return re.compile(
        rf"""(?<![\w-])(?P<before>(?:{names})(?:(?P<named>{quote})\s*:|\s*[:=])\s*)"""
        rf"""(?:(?P<quote>[bu]?(?P<end>{quote}))(?P<text>(?:(?!(?P=end))(?:\\.|[^\\]))+)"""
        r"""|(?(named)(?!(?:null|none)\b)(?P<bare>[\[{(][^\]})]+|[^\s"'\\,\[\]{}()]+)|(?!)))""",
        re.IGNORECASE | re.DOTALL,
    )


def _masked_literal(found: re.Match[str]) -> str:
    if found["text"] is None:
        # In quotes, so that JSON with a number in it does not break.
        return f"{found['before']}{found['named']}{mask(found['bare'])}{found['named']}"
    return f"{found['before']}{found['quote']}{mask(found['text'])}"


def _masked(value: Any) -> Any:
    """Return what may be shown of a secret member, of whatever type somebody has sent it."""
    if value is None or value == "":
        return value
    return mask(value if isinstance(value, str) else json.dumps(value))
