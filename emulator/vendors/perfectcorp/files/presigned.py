"""Presigned URLs, with which clients upload and download pictures without an API key.

They look like URLs of S3, where the vendor stores its files: the query has an expiry and a signature. The
host is not part of the signature, so that a URL works under every host name of the emulator.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from emulator.vendors.perfectcorp.files.errors import STORE

BUCKET = "yce-us"
"""Name of the bucket. It is the path prefix of the store, except under the store's own host."""

STORE_HOST = f"{BUCKET}.s3-accelerate.amazonaws.com"
"""Host of the presigned URLs of the real service."""

ALGORITHM = "AWS4-HMAC-SHA256"
DATE_FORMAT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class SignedRequest:
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
    """Return a URL under ``base_url`` that allows ``request`` for ``seconds`` seconds from ``now`` on."""
    moment = datetime.fromtimestamp(now, UTC).strftime(DATE_FORMAT)
    parameters = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"EMULATED/{moment[:8]}/us-west-2/s3/aws4_request",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": ";".join(sorted([*request.headers, "host"])),
    }
    parameters["X-Amz-Signature"] = _sign(request, parameters, secret)
    return f"{base_url.rstrip('/')}/{quote(request.key)}?{urlencode(parameters)}"


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
    lines = [
        request.method,
        request.key,
        urlencode(sorted(parameters.items())),
        *(f"{name}:{value}" for name, value in sorted(request.headers.items())),
    ]
    return hmac.new(secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
