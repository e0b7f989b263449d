"""The connection to an object store: its URL, its options, and descriptions of its errors."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from emulator.backends.drivers import DriverMissing
from emulator.backends.private import make_private_folder

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

VARIABLE = "FACE_EMULATOR_BLOBS_URL"

CONNECT_SECONDS: Final = 2.0
"""Longest time to connect to the store, in real seconds."""

PREFIXES: Final = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
"""Prefix of the environment variables of each kind of store."""

ENDPOINTS: Final = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""Environment variables with the address of each kind of store."""

CLIENT_OPTIONS: Final = (
    "allow_http",
    "allow_invalid_certificates",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
)
"""Options of obstore's HTTP client that environment variables can set, such as ``AWS_ALLOW_HTTP``."""

LONGEST_REASON = 300
"""Longest description of an error, in characters."""


@dataclass(frozen=True)
class StoreAddress:
    """The address of an object store: a bucket or container with a prefix, or a folder.

    Attributes
    ----------
    url : str
        The URL, such as ``s3://bucket/prefix``. It contains no secret.
    scheme : str
        ``s3``, ``gs``, ``az`` or ``file``.
    """

    url: str
    scheme: str

    @classmethod
    def parse(cls, url: str) -> StoreAddress:
        """Check a URL, and return the address.

        Raises
        ------
        ValueError
            If it is not the URL of an object store. The message does not contain the URL, which could contain
            a secret.
        """
        try:
            parts = urlsplit(url)
            has_secret = "@" in parts.netloc or bool(parts.query) or bool(parts.fragment)
        except ValueError:
            parts, has_secret = urlsplit(""), False
        has_place = (not parts.netloc and len(parts.path) > 1) if parts.scheme == "file" else parts.netloc
        if parts.scheme not in {*PREFIXES, "file"} or not has_place:
            raise ValueError(
                f"{VARIABLE}: the URL should be s3://bucket/prefix, gs://bucket/prefix, "
                "az://container/prefix or file:///folder"
            )
        if has_secret:
            # The URL is logged, and included in responses.
            raise ValueError(
                f"{VARIABLE}: the URL cannot contain a user, a password or a query; set the variables of the "
                "object store instead, such as AWS_ACCESS_KEY_ID"
            )
        return cls(url.rstrip("/"), parts.scheme)

    def below(self, name: str) -> StoreAddress:
        """Return the address of the folder ``name`` in this one."""
        return StoreAddress(f"{self.url}/{name}", self.scheme)


def require_obstore() -> None:
    """Import obstore.

    Raises
    ------
    DriverMissing
        If it is not installed.
    """
    try:
        import obstore  # noqa: F401, PLC0415 - only needed with this setting
    except ModuleNotFoundError as error:
        raise DriverMissing(VARIABLE, "obstore") from error


def check_endpoint(address: StoreAddress) -> None:
    """Check the environment variables that contain the URL of the store.

    Raises
    ------
    ValueError
        If one of them is not a URL.
    """
    for name in ENDPOINTS.get(address.scheme, ()):
        value = os.environ.get(name)
        if value is not None and not value.lower().startswith(("http://", "https://")):
            # obstore would panic at the first request, even if the value is empty.
            raise ValueError(f"{name}: the URL should begin with https:// or http://, not {value!r}")


def connect(address: StoreAddress) -> ObjectStore:
    """Return the store at ``address``. A folder is created; other stores are not called yet."""
    from obstore.store import LocalStore, from_url  # noqa: PLC0415 - only needed with this setting

    if address.scheme == "file":
        folder = folder_of(address)
        make_private_folder(folder)
        return LocalStore(folder)
    retry = _retry_config()
    return from_url(
        address.url, client_options=client_options(address.scheme, os.environ), retry_config=retry
    )


def folder_of(address: StoreAddress) -> Path:
    """Return the folder of a URL with the scheme ``file``."""
    return Path(unquote(urlsplit(address.url).path))


def client_options(scheme: str, environment: Mapping[str, str]) -> ClientConfig:
    """Return the options of the HTTP client.

    obstore ignores the environment variables of all these options as soon as one of them is given, so they
    are read here. An endpoint that begins with ``http://`` also sets ``allow_http``.
    """
    given: dict[str, Any] = {
        name: environment[f"{PREFIXES[scheme]}{name.upper()}"]
        for name in CLIENT_OPTIONS
        if environment.get(f"{PREFIXES[scheme]}{name.upper()}")
    }
    if any(environment.get(name, "").lower().startswith("http://") for name in ENDPOINTS[scheme]):
        given["allow_http"] = "true"
    # This timeout is only a fallback: ObjectBlobs limits the time of each call by its number of bytes.
    options: ClientConfig = {"connect_timeout": f"{CONNECT_SECONDS:g}s", "timeout": "1h"}
    options.update(given)  # type: ignore[typeddict-item]  # strings, as obstore reads them from variables
    return options


def _retry_config() -> RetryConfig:
    """Return retry options: repeat a request after a lost connection, but fail soon if the store is down."""
    from datetime import timedelta  # noqa: PLC0415 - only needed with this setting

    return {
        "max_retries": 3,
        "retry_timeout": timedelta(seconds=4),
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=1),
            "base": 2,
        },
    }


def reason_of(error: Exception) -> str:
    """Return a short description of an error of obstore, without URLs, which can contain signatures."""
    said, _, details = str(error).partition("\n\nDebug source:")
    answered = re.search(r"<Message>(.+?)</Message>", said, re.DOTALL)
    if answered:
        reason = html.unescape(answered[1])
    else:
        # obstore names the request first, then the number of tries, and then the reason.
        reason = said.rpartition(" - ")[2]
        # The debugging output has the cause: a system error, or a value such as UnknownIssuer.
        causes = re.findall(r'\b(?:message|error): "([^"]+)"', details) or re.findall(
            r"\berror:\w+\((\w+),?\)", "".join(details.split())
        )
        if causes and causes[-1] not in reason:
            reason += f" ({causes[-1]})"
    reason = re.sub(r"\w+://\S+", "its URL", " ".join(reason.split()))
    return reason[:LONGEST_REASON].rstrip(".")
