"""Uploads to the object store, downloads from it, and its errors."""

from __future__ import annotations

import base64
import hashlib
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from emulator.vendors.perfectcorp.files import store
from emulator.vendors.perfectcorp.files.presigned import BUCKET

KEY = "sk-test"


def refusal(answer: Any, **details: str | None) -> tuple[int, str]:
    """Return the status and the code of an error, and check that the XML has the elements ``details``."""
    assert answer.headers["content-type"] == "application/xml"
    error = ET.fromstring(answer.content)  # noqa: S314 - the emulator's own response
    elements = {child.tag: child.text for child in error}
    assert list(elements) == ["Code", "Message", *details, "RequestId", "HostId"]
    assert elements.items() >= details.items()
    assert elements["RequestId"] == answer.headers["x-request-id"]
    return answer.status_code, str(elements["Code"])


@pytest.fixture
def upload(emulate: Callable[..., Any]) -> Callable[..., Any]:
    """A function that uploads five bytes with additional headers."""
    emulator = emulate()
    request = emulator.registered(5)["requests"][0]
    return lambda **given: emulator.anonymous.put(
        request["url"],
        headers={**request["headers"], **{name.replace("_", "-"): text for name, text in given.items()}},
        content=b"photo",
    )


@pytest.fixture
def result(emulate: Callable[..., Any], face_jpeg: bytes) -> Callable[..., Any]:
    """A function that downloads a result with additional headers."""
    emulator = emulate()
    url = emulator.run(face_jpeg)["results"]["url"]
    return lambda method="GET", query=None, **given: emulator.anonymous.request(
        method,
        url if query is None else url.partition("?")[0] + query,
        headers={name.replace("_", "-"): text for name, text in given.items()},
    )


def test_errors_of_the_store_are_xml(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    request = emulator.register(len(face_jpeg)).json()["data"]["files"][0]["requests"][0]
    url, headers = request["url"], request["headers"]
    path = url.partition("?")[0]
    put = emulator.anonymous.put
    assert refusal(put(url, headers={**headers, "Authorization": "Bearer x"}, content=face_jpeg)) == (
        400,
        "InvalidArgument",
    )
    assert refusal(put(path, headers=headers, content=face_jpeg)) == (403, "AccessDenied")
    assert refusal(put(url, headers={"Content-Type": "image/png"}, content=face_jpeg)) == (
        403,
        "SignatureDoesNotMatch",
    )
    assert refusal(put(url, headers=headers | {"Content-Length": "5"}, content=b"short")) == (
        403,
        "SignatureDoesNotMatch",
    )
    accepted = put(url, headers=headers, content=face_jpeg)
    assert (accepted.status_code, accepted.content) == (200, b"")
    assert len(accepted.headers["etag"]) == 34


def test_a_body_of_unknown_length_is_not_implemented(api: Any, face_jpeg: bytes) -> None:
    request = api.registered(len(face_jpeg))["requests"][0]
    headers = {"Content-Type": request["headers"]["Content-Type"]}
    chunked = api.anonymous.put(request["url"], headers=headers, content=iter([face_jpeg]))
    assert refusal(chunked, Header="Transfer-Encoding") == (501, "NotImplemented")
    assert "A header you provided implies functionality that is not implemented" in chunked.text


def test_an_upload_has_a_length(api: Any) -> None:
    """The request is written by hand, because ``httpx`` always sends a ``Content-Length`` with PUT."""
    url = httpx.URL(api.registered(5)["requests"][0]["url"])
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(b"PUT " + url.raw_path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with connection.makefile("rb") as answer:
            text = answer.read()
    assert text.startswith(b"HTTP/1.1 411 ")
    assert b"<Code>MissingContentLength</Code>" in text


def test_a_body_of_unknown_length_is_refused_before_the_signature_is_checked(
    emulate: Callable[..., Any],
) -> None:
    put = emulate().anonymous.put
    chunked = put("/yce-us/ttl30/a.jpg", content=iter([b"photo"]))
    assert refusal(chunked, Header="Transfer-Encoding") == (501, "NotImplemented")


def test_a_url_is_signed_for_one_method(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    urls = {
        "GET": emulator.run(face_jpeg)["results"]["url"],
        "PUT": emulator.registered(5)["requests"][0]["url"],
    }
    for signed, url in urls.items():
        for method in {"GET", "PUT", "DELETE"} - {signed}:
            content = b"photo" if method == "PUT" else None
            answer = emulator.anonymous.request(method, url, content=content)
            assert refusal(answer) == (403, "SignatureDoesNotMatch"), (signed, method)
            unsigned = emulator.anonymous.request(method, url.partition("?")[0], content=content)
            assert refusal(unsigned) == (403, "AccessDenied")
            both = emulator.anonymous.request(method, url, content=content, headers={"Authorization": "x"})
            assert refusal(both) == (400, "InvalidArgument")
        for query in (f"?{url.partition('?')[2]}", ""):
            head = emulator.anonymous.head(url.partition("?")[0] + query)
            assert (head.status_code, head.headers["content-type"], head.content) == (
                403,
                "application/xml",
                b"",
            )
    assert emulator.anonymous.get(urls["GET"]).status_code == 200
    assert emulator.put({"requests": [{"method": "PUT", "url": urls["PUT"], "headers": {
        "Content-Type": "image/jpeg"}}]}, b"photo").status_code == 200  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "PATCH", "QUERY"])
def test_other_methods_are_not_allowed(result: Callable[..., Any], method: str) -> None:
    for query in (None, ""):
        wrong = result(method, query)
        assert refusal(wrong, Method=method, ResourceType="OBJECT") == (405, "MethodNotAllowed")
        # DELETE is not allowed either, but the signature is checked first.
        assert wrong.headers["allow"] == "GET, HEAD, PUT"


def test_a_preflight_needs_an_origin_and_a_method(result: Callable[..., Any]) -> None:
    for given in ({}, {"Access_Control_Request_Method": "PUT"}):
        answer = result("OPTIONS", **given)
        assert refusal(answer) == (400, "BadRequest")
        assert "Insufficient information. Origin request header needed." in answer.text
    answer = result("OPTIONS", Origin="http://a")
    assert refusal(answer) == (400, "BadRequest")
    assert "Invalid Access-Control-Request-Method: null" in answer.text
    for method in ("GET", "HEAD", "PUT"):
        answer = result("OPTIONS", Origin="http://a", Access_Control_Request_Method=method)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert method in answer.headers["access-control-allow-methods"]


def test_a_page_of_any_origin_can_read_a_result_in_parts(result: Callable[..., Any]) -> None:
    answer = result(Origin="http://a", Range="bytes=0-9")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (206, "*")
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"Accept-Ranges", "Content-Range", "ETag"} <= set(exposed)


def test_a_header_of_the_store_must_be_signed(upload: Callable[..., Any], result: Callable[..., Any]) -> None:
    for call in (upload, result):
        for names in (["x-amz-acl"], ["x-amz-meta-b", "x-amz-meta-a", "x-amz-security-token"]):
            answer = call(**{name.replace("-", "_"): "private" for name in names})
            assert refusal(answer, HeadersNotSigned=", ".join(names)) == (403, "AccessDenied")
            assert "There were headers present in the request which were not signed" in answer.text
        assert (
            call(x_amzn_trace_id="1", x_amz_content_sha256="UNSIGNED-PAYLOAD", x_other="1").status_code == 200
        )
        assert refusal(call(x_amz_content_sha256="0" * 64)) == (403, "SignatureDoesNotMatch")
    # A request without a signature has no key.
    assert refusal(result(query="", x_amz_acl="private")) == (403, "AccessDenied")


@pytest.mark.parametrize(
    "names", ["content-type%3Bhost", "host", "", "%E2%82%AC%3Bhost", "%0A", "host%3Bhost"]
)
def test_the_names_of_the_signed_headers_are_signed_too(api: Any, names: str) -> None:
    request = api.registered(5)["requests"][0]
    signed = "content-length%3Bcontent-type%3Bhost"
    assert signed in request["url"]
    url = request["url"].replace(signed, names)
    answer = api.anonymous.put(url, headers={"Content-Type": "image/jpeg"}, content=b"another photo")
    assert refusal(answer) == (403, "SignatureDoesNotMatch")


MD5 = base64.b64encode(hashlib.md5(b"photo", usedforsecurity=False).digest()).decode()


def test_a_digest_must_be_signed(upload: Callable[..., Any]) -> None:
    for digest in (MD5, base64.b64encode(bytes(16)).decode()):
        answer = upload(Content_MD5=digest)
        assert refusal(answer, HeadersNotSigned="content-md5") == (403, "AccessDenied")
    for digest in ("<x>", "", MD5[:-1], base64.b64encode(bytes(15)).decode(), hashlib.sha256().hexdigest()):
        answer = upload(Content_MD5=digest)
        assert refusal(answer, **{"Content-MD5": digest or None}) == (400, "InvalidDigest")
        assert "The Content-MD5 you specified was invalid." in answer.text


def test_the_store_has_an_error_for_an_upload_that_pauses(upload: Callable[..., Any]) -> None:
    answer = upload(X_Emulator_Fault="RequestTimeout")
    assert refusal(answer) == (400, "RequestTimeout")
    sentence = (
        "Your socket connection to the server was not read from or written to within the timeout period. "
        "Idle connections will be closed."
    )
    assert f"<Message>{sentence}</Message>" in answer.text


def test_a_result_is_served_in_parts(result: Callable[..., Any]) -> None:
    whole = result()
    data, size = whole.content, len(whole.content)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    assert "content-range" not in whole.headers
    assert whole.headers["etag"] == f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
    for given, part in {
        "bytes=0-9": slice(10),
        "bytes=-7": slice(size - 7, size),
        f"bytes={size - 3}-": slice(size - 3, size),
        f"bytes=5-{size + 5}": slice(5, size),
        f"bytes=-{size + 5}": slice(size),
    }.items():
        answer = result(Range=given)
        begin, end, _ = part.indices(size)
        assert (answer.status_code, answer.content) == (206, data[part]), given
        assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
        assert answer.headers["content-length"] == str(end - begin)
        for name in ("etag", "last-modified", "accept-ranges", "content-type"):
            assert answer.headers[name] == whole.headers[name]
    for ignored in ("bytes=0-1,5-6", "bytes=5-2", "items=0-1", "bytes", "bytes=-", "bytes=a-b"):
        answer = result(Range=ignored)
        assert (answer.status_code, answer.content) == (200, data), ignored
    for beyond in (f"bytes={size}-", "bytes=-0", f"bytes={'9' * 5000}-"):
        answer = result(Range=beyond)
        details = {"RangeRequested": beyond, "ActualObjectSize": str(size)}
        assert refusal(answer, **details) == (416, "InvalidRange")
        assert answer.headers["content-range"] == f"bytes */{size}"


def test_conditions_come_before_the_range_in_the_order_of_the_standard(result: Callable[..., Any]) -> None:
    whole = result()
    tag, date = whole.headers["etag"], whole.headers["last-modified"]
    assert date == "Mon, 21 Sep 2026 14:13:20 GMT"
    past = "Mon, 21 Sep 2026 14:13:19 GMT"
    failed = result(If_Match='"x"', If_None_Match=tag, Range="bytes=999999999-")
    assert refusal(failed, Condition="If-Match") == (412, "PreconditionFailed")
    failed = result(If_Unmodified_Since=past, If_None_Match=tag)
    assert refusal(failed, Condition="If-Unmodified-Since") == (412, "PreconditionFailed")
    for known in (
        {"If_None_Match": tag},
        {"If_Modified_Since": date},
        {"If_Match": tag, "If_None_Match": "*"},
    ):
        answer = result(**known, Range="bytes=999999999-")
        assert (answer.status_code, answer.content) == (304, b"")
        assert (answer.headers["etag"], answer.headers["last-modified"]) == (tag, date)
        assert "content-type" not in answer.headers
    assert result(If_None_Match='"x"', If_Modified_Since=date).status_code == 200
    for same in (tag, date):
        assert result(If_Range=same, Range="bytes=0-1").status_code == 206
    for other in ('"x"', past, f"W/{tag}"):
        assert (
            result(If_Range=other, Range="bytes=0-1").status_code,
            result(If_Range=other).status_code,
        ) == (
            200,
            200,
        )


def test_a_result_was_modified_when_its_task_ended(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    url = emulator.run(face_jpeg)["results"]["url"]
    emulator.clock.advance(100)
    later = emulator.run(face_jpeg)["results"]["url"]
    emulator.clock.advance(100)
    dates = [emulator.anonymous.get(each).headers["last-modified"] for each in (url, later)]
    assert dates == ["Mon, 21 Sep 2026 14:13:20 GMT", "Mon, 21 Sep 2026 14:15:00 GMT"]


def test_curl_resumes_a_download(api: Any, face_jpeg: bytes, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    url = api.run(face_jpeg)["results"]["url"]
    whole = api.anonymous.get(url).content
    file = tmp_path / "result.jpg"
    file.write_bytes(whole[:1000])
    subprocess.run([curl, "-sS", "--fail", "-C", "-", "-o", file, url], check=True)  # noqa: S603 - fixed command
    assert file.read_bytes() == whole


def test_an_unexpected_exception_of_the_store_gets_an_xml_error(
    emulate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store, "verify", fail)
    assert refusal(emulate().anonymous.get("/yce-us/ttl30/a.jpg")) == (500, "InternalError")


def test_an_object_belongs_to_a_key_since_its_registration(
    emulate: Callable[..., Any], face_jpeg: bytes
) -> None:
    emulator = emulate()
    world = emulator.client.app.state.world

    def owner_of(url: str) -> str | None:
        key = httpx.URL(url).path.removeprefix(f"/{BUCKET}/")
        return emulator.client.portal.call(store.credential_of_object, world, key)  # type: ignore[no-any-return]

    request = emulator.register(len(face_jpeg)).json()["data"]["files"][0]["requests"][0]
    assert owner_of(request["url"]) == KEY
    result = emulator.run(face_jpeg)["results"]["url"]
    assert owner_of(result) == KEY
    assert owner_of(f"/{BUCKET}/ttl30/unknown.jpg") is None
    stored = emulator.client.portal.call(world.blobs.keys)
    assert [found.credential for found in stored] == [KEY, KEY]
