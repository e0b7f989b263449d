"""Presigned URLs. Each is valid for one method, one path and certain headers, until it expires."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.vendors.perfectcorp.files.presigned import SignedRequest, presign, verify
from emulator.world.error_catalogue import VendorError

SECRET = b"secret"
NOW = 1_790_000_000.0
UPLOAD = SignedRequest("PUT", "ttl30/a b/ü.jpg", {"content-length": "5", "content-type": "image/jpg"})


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def signed(request: SignedRequest = UPLOAD, now: float = NOW) -> dict[str, str]:
    return query(presign(request, base_url="http://h:1/yce-us/", secret=SECRET, now=now, seconds=7200))


def test_a_url_looks_like_those_of_s3() -> None:
    url = urlsplit(presign(UPLOAD, base_url="http://h:1/yce-us/", secret=SECRET, now=NOW, seconds=7200))
    assert (url.scheme, url.netloc, url.path) == ("http", "h:1", "/yce-us/ttl30/a%20b/%C3%BC.jpg")
    assert list(signed()) == [
        "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ]  # fmt: skip
    assert (signed()["X-Amz-Date"], signed()["X-Amz-Expires"]) == ("20260921T141320Z", "7200")


@given(st.floats(0, 7199.9))
def test_it_works_until_it_expires(later: float) -> None:
    verify(UPLOAD, signed(), secret=SECRET, now=NOW + later)


@pytest.mark.parametrize("later", [7200, 10**6])
def test_it_expires(later: float) -> None:
    with pytest.raises(VendorError, match="SignatureExpired"):
        verify(UPLOAD, signed(), secret=SECRET, now=NOW + later)


@pytest.mark.parametrize(
    "other",
    [
        SignedRequest("GET", UPLOAD.key, UPLOAD.headers),
        SignedRequest("PUT", "ttl30/other.jpg", UPLOAD.headers),
        SignedRequest("PUT", UPLOAD.key, {**UPLOAD.headers, "content-length": "6"}),
        SignedRequest("PUT", UPLOAD.key, {**UPLOAD.headers, "content-type": "image/png"}),
        SignedRequest("PUT", UPLOAD.key, {}),
    ],
)
def test_it_allows_one_request_only(other: SignedRequest) -> None:
    with pytest.raises(VendorError, match="BadSignature"):
        verify(other, signed(), secret=SECRET, now=NOW)


@pytest.mark.parametrize("name", [*signed(), "added"])
def test_a_changed_query_is_refused(name: str) -> None:
    with pytest.raises(VendorError, match="BadSignature"):
        verify(UPLOAD, {**signed(), name: "99999"}, secret=SECRET, now=NOW)


def test_a_query_without_a_signature_is_refused() -> None:
    with pytest.raises(VendorError, match="NotSigned"):
        verify(UPLOAD, {}, secret=SECRET, now=NOW)
    with pytest.raises(VendorError, match="BadSignature"):
        verify(UPLOAD, {"X-Amz-Signature": "ä"}, secret=SECRET, now=NOW)


def test_another_secret_signs_differently() -> None:
    with pytest.raises(VendorError, match="BadSignature"):
        verify(UPLOAD, signed(), secret=b"other", now=NOW)


PIECES = st.text("abcXZ019-._~%&=/?#+;: é\x00", min_size=0, max_size=3)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.floats(0, 1), cut=st.integers(0, 2), piece=PIECES | st.sampled_from(["&X-Amz-Expires=9", "%00"])
)
def test_no_change_of_an_upload_url_is_accepted(api: Any, place: float, cut: int, piece: str) -> None:
    """Only other spellings of the same URL are accepted."""
    request = api.registered(5)["requests"][0]
    address = urlsplit(request["url"])
    whole = f"{address.path}?{address.query}"
    begin = 1 + round(place * (len(whole) - 1))
    changed = whole[:begin] + quote(piece, safe="%&=/?#+;:") + whole[begin + cut :]
    before, after = urlsplit(whole), urlsplit(changed)
    is_same = unquote(before.path) == unquote(after.path) and (
        sorted(parse_qsl(before.query, keep_blank_values=True))
        == sorted(parse_qsl(after.query, keep_blank_values=True))
    )
    answer = api.anonymous.put(changed, headers=request["headers"], content=b"12345")
    assert answer.status_code == 200 if is_same else 400 <= answer.status_code < 500


@pytest.mark.parametrize("name", ["X-Amz-Expires", "X-Amz-Date", "X-Amz-Signature", "x-id"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_parameter_that_is_sent_twice_is_refused(api: Any, name: str, *, is_first: bool) -> None:
    request = api.registered(5)["requests"][0]
    address = urlsplit(request["url"])
    added = f"{name}=20300101T000000Z"
    query = f"{added}&{address.query}" if is_first else f"{address.query}&{added}"
    answer = api.anonymous.put(f"{address.path}?{query}", headers=request["headers"], content=b"12345")
    assert answer.status_code == 403
