"""Comparison of a response with an expected response: status, media type, headers and body.

An expected response may have patterns in place of values that vary:

=========================================  =========================================================
``{"$type": "integer"}``                   a value of this JSON type; ``A or B`` and ``any`` are possible
``{"$matches": "[0-9a-f]{32}"}``           a string that the regular expression matches as a whole
``{"$url": ".jpg", "query": [names]}``     a URL with this suffix and exactly these query parameters
``{"$file": "jpeg", "width": 1, ...}``     a file of this kind, as bytes or base64; ``bytes`` and
                                           ``sha256`` identify the recorded file, and are not compared
``{"$numbers": 80}``                       a list of 80 numbers
``{"$each": pattern}``                     a list of any length, whose items all match the pattern
=========================================  =========================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from emulator.drift.files import describe_file, in_base64

PATTERNS: Final = frozenset({"$type", "$matches", "$url", "$file", "$numbers", "$each"})
VALUES: Final = frozenset({"JSON type", "extra member", "file", "URL", "value"})
"""Kinds of difference where ``found`` is a value from the response, and not a name or a count."""

INFORMATIVE: Final = frozenset({"bytes", "sha256"})

FIRST_FAILURE: Final = 400
"""Lowest HTTP status of an error."""

IGNORED_HEADERS: Final = frozenset(
    {
        # About the connection and the transfer of the body.
        "connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding", "vary",
        # About the time and the client.
        "age", "date", "expires", "last-modified", "set-cookie",
        # About the server and its proxies.
        "alt-svc", "cf-cache-status", "cf-ray", "nel", "report-to", "server", "server-timing",
        "strict-transport-security", "via", "x-amz-cf-id", "x-amz-cf-pop", "x-cache", "x-cache-hits",
        "x-powered-by", "x-served-by", "x-timer",
    }
)  # fmt: skip
"""Headers that are not compared, because they are not part of the vendor's API."""


@dataclass(frozen=True)
class Difference:
    """One difference between a response and the expected response.

    Attributes
    ----------
    what : str
        Kind of difference: ``status``, ``media type``, ``header``, ``missing member``, ``extra member``,
        ``order``, ``JSON type``, ``length``, ``value``, ``file`` or ``URL``.
    place : str
        Where in the response the difference is, such as ``body.data.task_id``.
    expected, found : object
        The expected and the actual value at that place; None if a response has no value there.
    """

    what: str
    place: str
    expected: Any
    found: Any


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield the differences between two responses.

    A response has ``status``, ``type`` (the media type), ``headers`` (the names of headers) and ``body``.
    """
    for name, what in (("status", "status"), ("type", "media type")):
        if expected[name] != found[name]:
            yield Difference(what, name, expected[name], found[name])
    for header in sorted(set(expected["headers"]) ^ set(found["headers"])):
        here = header in expected["headers"]
        yield Difference("header", "headers", header if here else None, None if here else header)
    yield from _differences(expected["body"], found["body"], "body")


def type_name(value: Any) -> str:
    """Return the JSON type of a value, such as ``integer``. Return ``bytes`` if the value is not JSON."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else names.get(type(value), "bytes")


def is_pattern(value: Any) -> bool:
    """Return whether a value is a pattern."""
    return isinstance(value, Mapping) and not PATTERNS.isdisjoint(value)


def _differences(expected: Any, found: Any, place: str) -> Iterator[Difference]:
    if is_pattern(expected):
        yield from _against_pattern(expected, found, place)
    elif type_name(expected) != type_name(found):
        yield Difference("JSON type", place, expected, found)
    elif isinstance(expected, dict):
        yield from _members(expected, found, place)
    elif isinstance(expected, list):
        if len(expected) != len(found):
            yield Difference("length", place, len(expected), len(found))
        for index, (one, other) in enumerate(zip(expected, found, strict=False)):
            yield from _differences(one, other, f"{place}.{index}")
    elif expected != found:
        yield Difference("value", place, expected, found)


def _members(expected: dict[str, Any], found: dict[str, Any], place: str) -> Iterator[Difference]:
    for name, value in expected.items():
        if name in found:
            yield from _differences(value, found[name], f"{place}.{name}")
        else:
            yield Difference("missing member", f"{place}.{name}", value, None)
    for name, value in found.items():
        if name not in expected:
            yield Difference("extra member", f"{place}.{name}", None, value)
    here = [name for name in expected if name in found]
    there = [name for name in found if name in expected]
    if here != there:
        yield Difference("order", place, ", ".join(here), ", ".join(there))


def _against_pattern(pattern: Mapping[str, Any], found: Any, place: str) -> Iterator[Difference]:
    if "$each" in pattern and isinstance(found, list):
        for index, item in enumerate(found):
            yield from _differences(pattern["$each"], item, f"{place}.{index}")
    elif "$numbers" in pattern and _is_vector(found):
        if len(found) != pattern["$numbers"]:
            yield Difference("length", place, pattern["$numbers"], len(found))
    elif what := _mismatch(pattern, found):
        yield Difference(what, place, pattern, found)


def _mismatch(pattern: Mapping[str, Any], found: Any) -> str | None:
    """Return the kind of difference between a value and a pattern, or None if the value matches."""
    match pattern:
        case {"$type": names}:
            good, what = names == "any" or type_name(found) in names.split(" or "), "JSON type"
        case {"$file": _}:
            good, what = _file_in(found) == _compared(pattern), "file"
        case {"$matches": expression} if isinstance(found, str):
            good, what = re.fullmatch(expression, found) is not None, "value"
        case {"$url": suffix, "query": query} if isinstance(found, str):
            good, what = _is_url(found, suffix, query), "URL"
        case _:
            good, what = False, "JSON type"
    return None if good else what


def _is_vector(found: Any) -> bool:
    return isinstance(found, list) and all(type(number) in {int, float} for number in found)


def _is_url(text: str, suffix: str, query: list[str]) -> bool:
    parts = urlsplit(text)
    names = sorted(dict(parse_qsl(parts.query, keep_blank_values=True)))
    return bool(parts.scheme) and parts.path.endswith(suffix) and names == query


def _file_in(found: Any) -> dict[str, Any] | None:
    data = in_base64(found) if isinstance(found, str) else found
    return describe_file(data) if isinstance(data, bytes) else None


def _compared(pattern: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in pattern.items() if name not in INFORMATIVE}
