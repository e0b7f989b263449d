"""Conditions and byte ranges of downloads."""

from __future__ import annotations

import re
import time
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator.vendors.perfectcorp.files.conditions import RangeUnsatisfiable, Version, read_range

NOW = 1_790_000_000
VERSION = Version("abc", NOW + 0.75)
EARLIER, SAME, LATER = (formatdate(NOW + seconds, usegmt=True) for seconds in (-1, 0, 1))


def served(header: str, size: int) -> bytes | None:
    """Return the bytes of an object of ``size`` bytes that a ``Range`` header gets, or None for an error."""
    data = bytes(number % 256 for number in range(size))
    try:
        part = read_range(header, size)
    except RangeUnsatisfiable:
        return None
    if part is None:
        return data
    assert part.step == 1
    assert 0 <= part.start < part.stop <= size
    return data[part.start : part.stop]


def expected(header: str, size: int) -> bytes | None:
    """Return the bytes that RFC 9110, section 14.1.2, selects, or None for an error."""
    data = [number % 256 for number in range(size)]
    unit, _, ranges = header.partition("=")
    first, dash, last = ranges.partition("-")
    digits = [part for part in (first, last) if part]
    if unit.lower() != "bytes" or not dash or not digits or not all(part.isdecimal() for part in digits):
        return bytes(data)
    if not first:
        found = [data[place] for place in range(size) if size - place <= int(last)]
    elif last and int(last) < int(first):
        return bytes(data)
    else:
        found = [data[place] for place in range(size) if int(first) <= place <= int(last or size)]
    return bytes(found) or None


NUMBER = st.integers(0, 40).map(str) | st.just("") | st.integers(0, 10**17).map(str)
HEADERS = st.builds("{}={}-{}".format, st.sampled_from(["bytes", "Bytes", "items"]), NUMBER, NUMBER)


@given(HEADERS, st.integers(0, 40))
@example("bytes=-0", 5)
@example("bytes=-5", 0)
@example("bytes=0-", 0)
@example("bytes=4-4", 5)
@example("bytes=5-5", 5)
def test_a_range_has_the_bytes_that_the_standard_says(header: str, size: int) -> None:
    assert served(header, size) == expected(header, size)


@given(st.text(st.characters(max_codepoint=255)) | st.from_regex(r"bytes=[0-9, -]*", fullmatch=True))
@example("bytes=0-1,2-3")
@example("bytes=0-1, bytes=2-3")
@example("bytes=²-")
@example("bytes=1--2")
@example("bytes=+1-2")
def test_every_other_header_is_ignored(header: str) -> None:
    if re.fullmatch(r"bytes\s*=\s*(\d+\s*-\s*\d*|-\s*\d+)\s*", header.strip(), re.IGNORECASE | re.ASCII):
        return
    assert read_range(header, 10) is None


@pytest.mark.parametrize("digits", ["9" * 19, "9" * 5000, "1" + "0" * 30])
def test_a_position_may_have_any_number_of_digits(digits: str) -> None:
    assert served(f"bytes=2-{digits}", 5) == bytes([2, 3, 4])
    assert served(f"bytes=-{digits}", 5) == bytes(range(5))
    assert served(f"bytes={digits}-", 5) is None
    assert served(f"bytes={'0' * 5000}3-", 5) == bytes([3, 4])


@pytest.mark.parametrize(
    ("headers", "failed"),
    [
        ({}, None),
        ({"if-match": '"abc"'}, None),
        ({"if-match": '"x", "abc"'}, None),
        ({"if-match": "abc"}, None),
        ({"if-match": "*"}, None),
        ({"if-match": '"x"'}, "If-Match"),
        ({"if-match": ""}, "If-Match"),
        ({"if-match": 'W/"abc"'}, "If-Match"),
        ({"if-unmodified-since": SAME}, None),
        ({"if-unmodified-since": LATER}, None),
        ({"if-unmodified-since": "yesterday"}, None),
        ({"if-unmodified-since": EARLIER}, "If-Unmodified-Since"),
        ({"if-match": '"abc"', "if-unmodified-since": EARLIER}, None),
        ({"if-match": '"x"', "if-unmodified-since": LATER}, "If-Match"),
    ],
)
def test_a_precondition_fails_for_another_version(headers: dict[str, str], failed: str | None) -> None:
    assert VERSION.failed_precondition(headers) == failed


@pytest.mark.parametrize(
    ("headers", "is_known"),
    [
        ({}, False),
        ({"if-none-match": '"abc"'}, True),
        ({"if-none-match": 'W/"abc"'}, True),
        ({"if-none-match": '"x", W/"y", "abc"'}, True),
        ({"if-none-match": "abc"}, True),
        ({"if-none-match": " * "}, True),
        ({"if-none-match": '"x"'}, False),
        ({"if-none-match": '"a,abc"'}, False),
        ({"if-modified-since": EARLIER}, False),
        ({"if-modified-since": SAME}, True),
        ({"if-modified-since": LATER}, True),
        ({"if-modified-since": "Mon Sep 21 14:13:20 2026"}, True),
        ({"if-modified-since": "Mon Sep 21 14:13:19 2026"}, False),
        ({"if-modified-since": "Monday, 21-Sep-26 14:13:20 GMT"}, True),
        ({"if-modified-since": "tomorrow"}, False),
        ({"if-modified-since": "Mon, 21 Sep 9999999 14:13:20 GMT"}, False),
        ({"if-none-match": '"x"', "if-modified-since": LATER}, False),
        ({"if-none-match": '"abc"', "if-modified-since": EARLIER}, True),
    ],
)
def test_a_client_that_has_the_current_version_gets_304(headers: dict[str, str], *, is_known: bool) -> None:
    assert VERSION.is_known(headers) == is_known


@pytest.mark.parametrize(
    ("given", "is_allowed"),
    [
        ('"abc"', True),
        (SAME, True),
        ('"x"', False),
        ('W/"abc"', False),
        (EARLIER, False),
        (LATER, False),
        ("", False),
    ],
)
def test_a_range_is_only_served_of_the_requested_version(given: str, *, is_allowed: bool) -> None:
    assert VERSION.allows_range({"if-range": given}) == is_allowed
    assert VERSION.allows_range({})


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_dates_do_not_depend_on_the_machines_time_zone(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert VERSION.is_known({"if-modified-since": "Mon Sep 21 14:13:20 2026"})
        assert not VERSION.is_known({"if-modified-since": "Mon Sep 21 14:13:19 2026"})
        assert VERSION.headers == {"ETag": '"abc"', "Last-Modified": "Mon, 21 Sep 2026 14:13:20 GMT"}
    finally:
        monkeypatch.undo()
        time.tzset()
