"""Masking of credentials and signatures in the journal."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from emulator.backends.outgoing import without_user
from emulator.world.text import printable

HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-amz-security-token"}
)
"""Headers that contain credentials, for all vendors."""

SHORTEST = 6
"""Shortest length of a credential that is masked in text. A shorter one would match other text too often."""


DEEPEST = 100
"""Largest nesting depth of a JSON document in the journal. JSON parsers and encoders support more levels."""


class TooDeep(ValueError):
    """The document is nested too deeply to be recorded as JSON."""


def mask(secret: str) -> str:
    """Return text to show instead of a secret: a digest, and the first characters if the secret is long."""
    shown = secret[:3] if len(secret) >= 2 * SHORTEST else ""
    digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{shown}…#{digest[:8]}"


class Redaction:
    """Masks the secrets in a recorded call.

    Parameters
    ----------
    names : iterable of str
        Names of fields, members and query parameters that contain secrets; case is ignored.
    credential : str or None
        The caller's credential, which is masked wherever it occurs.
    """

    def __init__(self, names: Iterable[str], credential: str | None) -> None:
        self._names = frozenset(name.lower() for name in names)
        listed = "|".join(re.escape(name) for name in sorted(self._names))
        self._in_urls = re.compile(rf"\b({listed})=([^&\s\"'<>]+)", re.IGNORECASE) if listed else None
        self._in_literals = _in_literals(listed) if listed else None
        self._credential = credential if credential is not None and len(credential) >= SHORTEST else None

    def is_secret(self, name: str) -> bool:
        """Return whether a field with this name contains a secret."""
        return name.lower() in self._names

    def text(self, text: str) -> str:
        """Return ``text`` with its secrets masked, and with halves of surrogate pairs escaped.

        The user names and passwords of URLs are secrets, too.
        """
        text = without_user(printable(text))
        if self._in_urls is not None and "=" in text:
            text = self._in_urls.sub(lambda found: f"{found[1]}={mask(found[2])}", text)
        if self._in_literals is not None and ('"' in text or "'" in text):
            text = self._in_literals.sub(_masked_literal, text)
        if self._credential is not None and self._credential in text:
            text = text.replace(self._credential, mask(self._credential))
        return text

    def headers(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
        """Return the headers as pairs of name and masked value."""
        shown = []
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name.lower() in HEADERS or self.is_secret(name):
                scheme, space, secret = value.partition(" ")
                value = f"{scheme} {mask(secret)}" if space else mask(value)
            shown.append((name, self.text(value)))
        return shown

    def query(self, query: bytes) -> list[tuple[str, str]]:
        """Return the query parameters as pairs of name and masked value."""
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace")
        return [(name, mask(value) if self.is_secret(name) else self.text(value)) for name, value in pairs]

    def document(self, value: Any, depth: int = 0) -> Any:
        """Return a JSON value with its secrets masked. ``depth`` is the number of levels above the value.

        Raises
        ------
        TooDeep
            If the whole document has more than ``DEEPEST`` levels.
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
    """Return a pattern that finds secrets by their names in broken JSON and in Python or JavaScript literals.

    Quotes can be single or double, and escaped if the literal is inside another text. A value can be text,
    bytes, a number, or a list up to its first closing bracket. The end of the value may be missing.
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
        # Quote the mask, because a mask without quotes in place of a number would break the JSON.
        return f"{found['before']}{found['named']}{mask(found['bare'])}{found['named']}"
    return f"{found['before']}{found['quote']}{mask(found['text'])}"


def _masked(value: Any) -> Any:
    """Return a secret member of any type, masked. None and empty text stay as they are."""
    if value is None or value == "":
        return value
    return mask(value if isinstance(value, str) else json.dumps(value))
