from __future__ import annotations

from typing import Any

import pytest

from emulator.drift.comparison import IGNORED_HEADERS, Difference, differences


def compared(expected: Any, found: Any) -> list[Difference]:
    rest = {"status": 200, "type": "application/json", "headers": []}
    return list(differences({**rest, "body": expected}, {**rest, "body": found}))


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ({"$type": "integer"}, [0, 10**20], [(1.0, "JSON type"), (True, "JSON type"), (None, "JSON type")]),
        ({"$type": "number"}, [1.0], [(1, "JSON type")]),
        ({"$type": "string or null"}, ["", None], [(1, "JSON type")]),
        ({"$type": "any"}, ["", None, [], {}], []),
        ({"$matches": r"a\d"}, ["a1"], [("a12", "value"), (1, "JSON type")]),
        (
            {"$url": ".jpg", "query": ["a", "b"]},
            ["https://x.example/y.jpg?b=1&a=2"],
            [
                ("https://x.example/y.png?b=1&a=2", "URL"),
                ("https://x.example/y.jpg?a=2", "URL"),
                ("/y.jpg?b=1&a=2", "URL"),
                (1, "JSON type"),
            ],
        ),
        (
            {"$file": "mtl", "statements": ["newmtl"], "bytes": 1, "sha256": "never compared"},
            [b"newmtl a\n"],
            [(b"newmtl a\nKd 1 1 1\n", "file"), (b"", "file"), ("text", "file"), (7, "file")],
        ),
        ({"$numbers": 2}, [[1, 2.0]], [([1], "length"), ([1, "2"], "JSON type"), (1, "JSON type")]),
        ({"$each": {"a": {"$type": "integer"}}}, [[], [{"a": 1}] * 3], [([{"a": "1"}], "JSON type")]),
    ],
)
def test_a_pattern_matches_only_its_values(
    pattern: dict[str, Any], good: list[Any], bad: list[tuple[Any, str]]
) -> None:
    for found in good:
        assert compared(pattern, found) == []
    for found, what in bad:
        assert [difference.what for difference in compared(pattern, found)] == [what], found


def test_each_member_is_compared_at_its_place() -> None:
    expected = {"a": [{"b": 1}, {"b": None}], "c": "x", "d": 1}
    found = {"d": 1, "a": [{"b": 2}, {}, {}], "c": "x", "e": []}
    assert compared(expected, found) == [
        Difference("length", "body.a", 2, 3),
        Difference("value", "body.a.0.b", 1, 2),
        Difference("missing member", "body.a.1.b", None, None),
        Difference("extra member", "body.e", None, []),
        Difference("order", "body", "a, c, d", "d, a, c"),
    ]


def test_differences_of_status_type_and_headers_come_first() -> None:
    one = {"status": 200, "type": "text/html", "headers": ["allow", "etag"], "body": ""}
    other = {"status": 404, "type": None, "headers": ["etag", "x-id"], "body": ""}
    assert list(differences(one, other)) == [
        Difference("status", "status", 200, 404),
        Difference("media type", "type", "text/html", None),
        Difference("header", "headers", "allow", None),
        Difference("header", "headers", None, "x-id"),
    ]
    assert {"date", "server", "content-length"} <= IGNORED_HEADERS
