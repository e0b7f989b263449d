"""Masks that hide keys, ids, signatures, pictures and account-specific numbers in responses.

Hidden values are replaced by patterns (see ``emulator.drift.comparison``). Other text is kept, because it
belongs to the vendor's API.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from emulator.drift.comparison import FIRST_FAILURE, VALUES, Difference, type_name
from emulator.drift.files import describe_file, in_base64

LONGEST_CODE: Final = 1000
"""In error responses, numbers from 0 up to but not including this one are error codes, and are not masked."""
SHORTEST_VECTOR: Final = 4
"""Shortest list of numbers that is masked as a whole. In a shorter list, each item is masked."""
SHORTEST_SECRET: Final = 8
"""Shortest secret that is also masked inside words. A shorter secret is masked only as a whole word."""

_ID_NAME = re.compile(
    r"(?i:(^|_)(id|key|token|secret|signature|password|e?mail)$)|[a-z](Id|Key|Token|Secret)$"
)
_URL = re.compile(r"https?://\S+")
_Class: TypeAlias = tuple[re.Pattern[str], Callable[[str], str]]
_RUN = r"[A-Za-z0-9+/_-]"


def _base64_class(found: str) -> str:
    digits = found.rstrip("=")
    # An id without +, /, - and _ can be in either alphabet of base64, so allow both.
    signs = "+/" if set(digits) & set("+/") else "_-" if set(digits) & set("_-") else "+/_-"
    return f"[A-Za-z0-9{signs}]{{{len(digits)}}}" + "=" * (len(found) - len(digits))


# The order matters: text that matches one expression is not searched again.
_CLASSES: Final[tuple[_Class, ...]] = (
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), lambda _: r"\S+@\S+"),
    (
        re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE),
        lambda found: (
            r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
            if found == found.lower()
            else r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
        ),
    ),
    (
        re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"),
        lambda found: re.sub(r"\d", r"\\d", re.sub(r"[.+]", lambda sign: re.escape(sign[0]), found)),
    ),
    (re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b"), lambda _: r"\d+(\.\d+){3}"),
    (re.compile(r"#[0-9a-f]{6}\b"), lambda _: "#[0-9a-f]{6}"),
    (re.compile(r"#[0-9A-F]{6}\b"), lambda _: "#[0-9A-F]{6}"),
    (
        re.compile(r"(?<![0-9A-Za-z])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,}(?![0-9A-Za-z])"),
        lambda found: f"[0-9a-f]{{{len(found)}}}",
    ),
    (
        re.compile(rf"(?<!{_RUN})(?={_RUN}*[a-z])(?={_RUN}*[A-Z])(?={_RUN}*\d){_RUN}{{20,}}={{0,2}}"),
        _base64_class,
    ),
    (
        re.compile(r"(?<![0-9A-Za-z])(?=[A-Z]*\d)(?=\d*[A-Z])[0-9A-Z]{16,}(?![0-9A-Za-z])"),
        lambda found: f"[0-9A-Z]{{{len(found)}}}",
    ),
    (re.compile(r"\d{9,}"), lambda found: rf"\d{{{len(found)}}}"),
)
"""Expressions that find random or personal text, each with a function. For the found text, the function
returns an expression that matches all similar texts.
"""


def file_pattern(data: bytes) -> dict[str, Any]:
    """Return the pattern for a file: kind, properties, length in bytes, and digest."""
    return {**describe_file(data), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@dataclass(frozen=True)
class Mask:
    """Hides values in responses.

    Attributes
    ----------
    secrets : collection of str
        The parts of the key that was sent. They are hidden everywhere.
    varies : collection of str
        Places in the response, such as ``body.result``, where values and the lengths of lists depend on the
        account or the picture. All values there are hidden.
    """

    secrets: Collection[str] = ()
    varies: Collection[str] = ()

    def answer(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Return a response with the values in its ``body`` masked. The other members stay as they are."""
        return {**answer, "body": self._value(answer["body"], "body", answer["status"], varies=False)}

    def difference(self, difference: Difference, status: int) -> Difference:
        """Return a difference with ``found`` masked. ``status`` is the status of the emulator's response."""
        if difference.what not in VALUES:
            return difference
        found = self._value(difference.found, difference.place, status, varies=False)
        return replace(difference, found=found)

    def _value(self, value: Any, place: str, status: int, *, varies: bool) -> Any:
        varies = varies or place in self.varies
        match value:
            case bytes():
                return file_pattern(value)
            case dict():
                return {
                    self.without_secrets(name): self._value(item, f"{place}.{name}", status, varies=varies)
                    for name, item in value.items()
                }
            case list():
                return self._list(value, place, status, varies=varies)
            case _ if varies:
                return {"$type": "any" if value is None else f"{type_name(value)} or null"}
            case str():
                return self._string(value, place.rpartition(".")[2])
            case _:
                return _scalar(value, status)

    def _list(self, values: list[Any], place: str, status: int, *, varies: bool) -> Any:
        if varies:
            each = self._value(values[0], f"{place}.0", status, varies=True) if values else {"$type": "any"}
            return {"$each": each}
        if len(values) >= SHORTEST_VECTOR and all(type(value) in {int, float} for value in values):
            return {"$numbers": len(values)}
        return [
            self._value(value, f"{place}.{index}", status, varies=False) for index, value in enumerate(values)
        ]

    def _string(self, text: str, name: str) -> Any:
        data = in_base64(text)
        if data is not None:
            return file_pattern(data)
        if _URL.fullmatch(text):
            parts = urlsplit(text)
            stem, dot, suffix = parts.path.rpartition("/")[2].rpartition(".")
            query = sorted({self.without_secrets(name) for name, _ in parse_qsl(parts.query, True)})  # noqa: FBT003 - keep_blank_values
            return {"$url": dot + suffix if stem else "", "query": query}
        expression, masked = self._expression(text)
        if not masked and _ID_NAME.search(name):
            return {"$type": "string"}
        return {"$matches": expression} if masked else text

    def _expression(self, text: str) -> tuple[str, bool]:
        """Return a regular expression for texts like ``text``, and whether any part of ``text`` is masked."""
        # Each pair is a piece of the text, and whether the piece is already an expression.
        pieces = [(text, False)]
        for pattern, class_of in (*_secret_classes(self.secrets), *_CLASSES):
            split: list[tuple[str, bool]] = []
            for piece, done in pieces:
                if done:
                    split.append((piece, True))
                    continue
                end = 0
                for found in pattern.finditer(piece):
                    split += [(piece[end : found.start()], False), (class_of(found[0]), True)]
                    end = found.end()
                split.append((piece[end:], False))
            pieces = split
        expression = "".join(piece if done else re.escape(piece) for piece, done in pieces)
        return expression, any(done for _, done in pieces)

    def without_secrets(self, name: str) -> str:
        """Return a text with all secrets replaced by ``***``."""
        for secret in filter(None, self.secrets):
            name = re.sub(_anywhere(secret), "***", name)
        return name


def _scalar(value: Any, status: int) -> Any:
    """Return a pattern for a number. Error codes, booleans and null are returned unchanged."""
    if value is None or isinstance(value, bool) or value == status:
        return value
    # Counts and measurements are private, but the codes of errors belong to the vendor's API.
    is_code = status >= FIRST_FAILURE and 0 <= value < LONGEST_CODE
    return value if is_code else {"$type": type_name(value)}


def _secret_classes(secrets: Collection[str]) -> Iterator[_Class]:
    for secret in filter(None, secrets):
        yield re.compile(_anywhere(secret)), lambda _: r"\S+"


def _anywhere(secret: str) -> str:
    """Return a regular expression for a secret. A short secret matches only as a whole word."""
    if len(secret) >= SHORTEST_SECRET:
        return re.escape(secret)
    return rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])"
