"""Generated bodies never make a vendor fail, and every error has the vendor's format."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from emulated import Emulated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vendor_data import VENDORS

EXAMPLES, LONG = 40, 2000
"""Number of examples for each vendor and kind of body, in a normal run and with ``make fuzz``."""

LENGTHS = [
    pytest.param(EXAMPLES, id="short"),
    pytest.param(LONG, id="long", marks=pytest.mark.fuzz),
]

ROUTES = {
    name: [(operation.method, path) for operation in vendor.operations.values() for path in operation.paths]
    for name, vendor in VENDORS.items()
}

FIELDS = {
    "faceplusplus": [
        "api_key",
        "api_secret",
        "image_file",
        "image_file_1",
        "image_base64",
        "return_landmark",
    ],
    "metahuman": [
        "token",
        "mail",
        "image_bytes",
        "schema",
        "models",
        "sha256",
        "data_type",
        "data_id",
        "glb",
    ],
    "perfectcorp": ["files"],
    "example_vendor": ["url"],
}

names = st.one_of(st.sampled_from(["a", "", "x" * 300, "é", 'a"b', "a\r\nb"]), st.text(max_size=8))
values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12))


def documents(known: list[str]) -> st.SearchStrategy[Any]:
    """Return a strategy of JSON documents, some of whose members have known names."""
    members = st.one_of(st.sampled_from(known), names)
    return st.recursive(
        values,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=4),
        max_leaves=12,
    )


MEMBERS = [
    "files", "content_type", "file_name", "file_size", "version", "features", "jaw", "eye_size", "global",
    "skin_smooth_strength", "src_file_id", "src_file_url", "index", "task_id", "client_id", "id_token",
]  # fmt: skip

boundaries = st.sampled_from([b"x", b"----------------", b"a b", b"'()+_,-./:=?", b"x" * 70, b"\xe9", b"-"])
line_ends = st.sampled_from([b"\r\n", b"\n", b"\r", b"", b"\r\n\r\n"])
pieces = st.sampled_from(
    [
        b"--", b"\r\n", b"\n", b"\r", b";", b"=", b'"', b"name=", b"filename=", b"filename*=UTF-8''", b"\0",
        b"\xff", b"Content-Disposition: form-data", b"Content-Disposition:", b": ", b" " * 200,
        b"Content-Type: image/jpeg",
        b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable", b"a" * 70_000,
        b"Content-Type: text/plain; charset=nonsense", b"=?utf-8?b?!!?=", b"%", b"%zz", b"\\", b"\xf0\x9f",
    ]
)  # fmt: skip


@st.composite
def multiparts(draw: st.DrawFn, known: list[str]) -> tuple[bytes, bytes]:
    """Return the ``Content-Type`` and the body of a multipart form that may be broken anywhere."""
    boundary = draw(boundaries)
    end = draw(line_ends)
    body = draw(st.sampled_from([b"", b"preamble\r\n", b"\r\n"]))
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(known)).encode()
        head = draw(
            st.sampled_from(
                [
                    b'Content-Disposition: form-data; name="%s"' % name,
                    b'Content-Disposition: form-data; name="%s"; filename="a.jpg"' % name,
                    b"Content-Disposition: form-data; name=%s" % name,
                    b"Content-Disposition: form-data",
                    b"content-disposition: attachment; name*=utf-8''%s" % name,
                    b"",
                ]
            )
        )
        content = draw(st.one_of(st.binary(max_size=40), st.sampled_from([b"k", b"\xff\xd8\xff\xe0", b"{}"])))
        extra = draw(st.lists(pieces, max_size=2))
        body += b"--" + boundary + end + b"".join([head, *extra]) + end + end + content + end
    body += draw(
        st.sampled_from([b"--" + boundary + b"--", b"--" + boundary, b"", b"--" + boundary + b"--\r\nx"])
    )
    if draw(st.booleans()):
        cut = draw(st.integers(0, len(body)))
        body = (
            body[:cut] + b"".join(draw(st.lists(pieces, max_size=3))) + body[cut + draw(st.integers(0, 9)) :]
        )
    kind = draw(
        st.sampled_from(
            [b"multipart/form-data; boundary=", b'multipart/form-data; boundary="', b"multipart/form-data;"]
        )
    )
    return kind + boundary, body


def check(vendor: str, emulated: Emulated, caplog: pytest.LogCaptureFixture, request: dict[str, Any]) -> None:
    """Send a request, and check the response."""
    caplog.clear()
    answer = emulated.send(**request)
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert answer.status_code < 500, (request, answer.text)
    assert failures == [], request
    if answer.status_code >= 400:
        assert has_format(vendor, answer.headers.get("content-type", ""), answer.text), (request, answer.text)


def has_format(vendor: str, content_type: str, text: str) -> bool:
    if content_type.startswith("application/xml"):
        return vendor == "perfectcorp" and "<Error><Code>" in text
    document = json.loads(text)
    members = {
        "faceplusplus": {"error_message"},
        "metahuman": {"error", "detail"},
        "perfectcorp": {"error_code", "error"},
        "example_vendor": {"problem"},
    }
    return isinstance(document, dict) and not members[vendor].isdisjoint(document)


def headers_of(vendor: str, content_type: bytes) -> dict[str, str | bytes]:
    keys = {
        "perfectcorp": {"Authorization": "Bearer sk-hypothesis"},
        "example_vendor": {"X-Example-Key": "k"},
    }
    return {**keys.get(vendor, {}), "Content-Type": content_type}


@pytest.mark.parametrize("examples", LENGTHS)
@pytest.mark.parametrize("vendor", VENDORS)
def test_no_multipart_form_makes_a_vendor_fail(
    emulated: Emulated, caplog: pytest.LogCaptureFixture, vendor: str, examples: int
) -> None:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None)
    @given(st.data())
    def send(data: st.DataObject) -> None:
        content_type, body = data.draw(multiparts(FIELDS[vendor]))
        for method, path in ROUTES[vendor]:
            headers = headers_of(vendor, content_type)
            check(
                vendor,
                emulated,
                caplog,
                {"method": method, "path": path, "content": body, "headers": headers},
            )

    send()


@pytest.mark.parametrize("examples", LENGTHS)
@pytest.mark.parametrize("vendor", VENDORS)
def test_no_json_body_makes_a_vendor_fail(
    emulated: Emulated, caplog: pytest.LogCaptureFixture, vendor: str, examples: int
) -> None:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None)
    @given(documents(MEMBERS), st.one_of(st.none(), st.binary(max_size=6)), st.integers(0, 200))
    def send(document: Any, noise: bytes | None, at: int) -> None:
        body = json.dumps(document).encode()
        if noise is not None:
            body = body[:at] + noise + body[at:]
        for method, path in ROUTES[vendor]:
            headers = headers_of(vendor, b"application/json")
            check(
                vendor,
                emulated,
                caplog,
                {"method": method, "path": path, "content": body, "headers": headers},
            )

    send()
