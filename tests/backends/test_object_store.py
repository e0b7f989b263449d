"""URLs, options and errors of object stores."""

from __future__ import annotations

import re
from typing import Any

import pytest
from obstore.exceptions import GenericError

from emulator.backends.blobs.object_store import StoreAddress, check_endpoint, client_options, reason_of


@pytest.mark.parametrize(
    "url", ["s3://bucket", "s3://bucket/some/prefix", "gs://bucket/x", "az://container/x", "file:///shared"]
)
def test_urls_of_object_stores(url: str) -> None:
    assert (
        StoreAddress.parse(url) == StoreAddress.parse(f"{url}/") == StoreAddress(url, url.partition(":")[0])
    )


@pytest.mark.parametrize(
    "url",
    [
        *("", "secret", "bucket/secret", "s3://", "s3:///secret", "http://secret/x", "file://secret/x"),
        *("file:///", "memory:///", "s3://[secret", "S4://secret"),
    ],
)
def test_other_urls_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(
        ValueError, match=re.escape("FACE_EMULATOR_BLOBS_URL: the URL should be s3://")
    ) as caught:
        StoreAddress.parse(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["s3://key:secret@bucket/x", "az://container/x?sig=secret", "s3://bucket/x#secret"]
)
def test_urls_contain_no_secrets(url: str) -> None:
    with pytest.raises(ValueError, match="cannot contain a user, a password or a query") as caught:
        StoreAddress.parse(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "variables", "allows_http"),
    [
        ("s3", {}, None),
        ("s3", {"AWS_ENDPOINT_URL": "https://s3.example"}, None),
        ("s3", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}, "true"),
        ("s3", {"AWS_ENDPOINT_URL_S3": "HTTP://127.0.0.1:9000"}, "true"),
        ("s3", {"AWS_ENDPOINT_URL": "https://s3.example", "AWS_ALLOW_HTTP": "1"}, "1"),
        ("s3", {"GOOGLE_BASE_URL": "http://127.0.0.1:9000"}, None),
        ("gs", {"GOOGLE_BASE_URL": "http://127.0.0.1:9000"}, "true"),
        ("az", {"AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:9000"}, "true"),
        ("az", {"AZURE_ALLOW_HTTP": "true"}, "true"),
    ],
)
def test_endpoints_without_tls_are_allowed_if_they_are_given(
    scheme: str, variables: dict[str, str], allows_http: str | None
) -> None:
    found: dict[str, Any] = {**client_options(scheme, variables)}
    assert found.get("allow_http") == allows_http


@pytest.mark.parametrize("value", ["127.0.0.1:9000", ""])
def test_an_endpoint_is_a_url(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", value)
    check_endpoint(StoreAddress.parse("gs://bucket"))
    check_endpoint(StoreAddress.parse("file:///folder"))
    with pytest.raises(ValueError, match="AWS_ENDPOINT_URL: the URL should begin with https:// or http://"):
        check_endpoint(StoreAddress.parse("s3://bucket"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    check_endpoint(StoreAddress.parse("s3://bucket"))


def test_variables_of_the_http_client_hold() -> None:
    options = client_options("s3", {"AWS_PROXY_URL": "http://proxy:1", "AWS_ALLOW_INVALID_CERTIFICATES": "1"})
    assert options == {
        "connect_timeout": "2s",
        "timeout": "1h",
        "proxy_url": "http://proxy:1",
        "allow_invalid_certificates": "1",
    }


REQUEST = "Generic S3 error: Error performing PUT https://host/a?sig=secret in 3ms, after 1 retries "


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Unable to open file", "Unable to open file"),
        (f"{REQUEST} - HTTP error: builder error", "HTTP error: builder error"),
        (f"{REQUEST} - HTTP error: error for https://host/a?sig=secret", "HTTP error: error for its URL"),
        (f"{REQUEST} - 403: <Error>\n<Message>You\n&amp; I.</Message></Error>", "You & I"),
        (
            f'{REQUEST} - HTTP error\n\nDebug source:\nOs {{\n  message: "Connection refused",\n}}',
            "HTTP error (Connection refused)",
        ),
        (
            f"{REQUEST} - HTTP error\n\nDebug source:\nerror: InvalidCertificate(\n  UnknownIssuer,\n)",
            "HTTP error (UnknownIssuer)",
        ),
        (f"{REQUEST} - {'x' * 1000}", "x" * 300),
    ],
)
def test_reasons_of_errors_are_short_and_without_urls(text: str, reason: str) -> None:
    assert reason_of(GenericError(text)) == reason
