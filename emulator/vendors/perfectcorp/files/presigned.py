"""Presigned URLs, with which clients upload and download pictures without an API key.

They look like presigned URLs of S3, where the vendor stores its files: the query has an expiry and a
signature. The signature does not cover the host, so that a URL works under every host name of the emulator.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlencode

from emulator.vendors.perfectcorp.files.errors import STORE

BUCKET = "yce-us"
"""Name of the bucket. It is the path prefix of the store, except under the store's own host."""

STORE_HOST = f"{BUCKET}.s3-accelerate.amazonaws.com"
"""Host of the presigned URLs of the real service."""

ALGORITHM = "AWS4-HMAC-SHA256"
DATE_FORMAT = "%Y%m%dT%H%M%SZ"


class SignedRequest(NamedTuple):
    """The request that a presigned URL allows.

    Attributes
    ----------
    method : str
        The allowed method, GET or PUT.
    key : str
        The key of the object.
    headers : mapping
        The headers that the request must have, with names in lower case.
    """

    method: str
    key: str
    headers: Mapping[str, str]


def presign(request: SignedRequest, *, base_url: str, secret: bytes, now: float, seconds: int) -> str:
    """Return a URL under ``base_url`` that allows ``request`` for ``seconds`` seconds after ``now``."""
    query = _query(int(now // 1), seconds, *sorted([*request.headers, "host"]))
    signature = _signature(request, query, secret)
    return f"{base_url.rstrip('/')}/{quote(request.key)}?{query}&X-Amz-Signature={signature}"


@lru_cache(maxsize=64)
def _query(second: int, seconds: int, *headers: str) -> str:
    """Return the query without the signature. It is cached, because many URLs are signed in a second.

    The parameters are sorted by name, as in the signature. All values are written as `urlencode` does.
    """
    moment = datetime.fromtimestamp(second, UTC).strftime(DATE_FORMAT)
    return (
        f"X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential=EMULATED%2F{moment[:8]}%2Fus-west-2%2Fs3%2Faws4_request"
        f"&X-Amz-Date={moment}&X-Amz-Expires={seconds}&X-Amz-SignedHeaders={'%3B'.join(headers)}"
    )


def verify(request: SignedRequest, parameters: Mapping[str, str], *, secret: bytes, now: float) -> None:
    """Check that the query ``parameters`` of a presigned URL allow ``request`` at the time ``now``.

    Raises
    ------
    VendorError
        If the signature is missing or wrong, or the URL has expired.
    """
    if "X-Amz-Signature" not in parameters:
        raise STORE["NotSigned"].occur()
    signed = {name: value for name, value in parameters.items() if name != "X-Amz-Signature"}
    given = parameters["X-Amz-Signature"]
    if not hmac.compare_digest(given.encode(), _sign(request, signed, secret).encode()):
        raise STORE["BadSignature"].occur()
    begin = datetime.strptime(signed["X-Amz-Date"], DATE_FORMAT).replace(tzinfo=UTC).timestamp()
    if now >= begin + int(signed["X-Amz-Expires"]):
        raise STORE["SignatureExpired"].occur()


def _sign(request: SignedRequest, parameters: Mapping[str, str], secret: bytes) -> str:
    return _signature(request, urlencode(sorted(parameters.items())), secret)


def _signature(request: SignedRequest, query: str, secret: bytes) -> str:
    headers = [f"{name}:{value}" for name, value in sorted(request.headers.items())]
    signed = "\n".join([request.method, request.key, query, *headers])
    signer = _signer(secret).copy()
    signer.update(signed.encode())
    return signer.hexdigest()


@lru_cache(maxsize=1)
def _signer(secret: bytes) -> hmac.HMAC:
    """Return the beginning of all signatures with a secret, which takes longer than the rest."""
    return hmac.new(secret, digestmod=hashlib.sha256)
