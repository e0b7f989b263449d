"""The object store behind the presigned URLs."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request, Response

from emulator.vendors.perfectcorp.errors import ERRORS
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.vendors.perfectcorp.uploads import BUCKET, SignedRequest, presign, verify
from emulator.web.call import CallDep, call_of
from emulator.web.catalogue import VendorError
from emulator.web.notices import contradicts, picture_type
from emulator.web.services import Services, ServicesDep

MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png"}

router = APIRouter()


@router.put(f"/{BUCKET}/{{key:path}}")
async def upload(request: Request, call: CallDep, services: ServicesDep, key: str) -> Response:
    """Take the bytes of a registered file."""
    await call.identify(None)
    if "content-length" not in request.headers:
        raise ERRORS["MissingContentLength"].occur()
    headers = {name: request.headers.get(name, "") for name in ("content-length", "content-type")}
    _verify(request, services, SignedRequest("PUT", key, headers))
    # The signature covers the length, and the server reads no more than the length that was said.
    sent = await request.body()
    content_type = headers["content-type"]
    if contradicts(content_type, sent):
        call.warn("upload-content-type-mismatch", f"{content_type} is said, {picture_type(sent)} was sent")
    data = await services.degraded(sent, call.picture_fault)
    await services.blobs.put(key, data)
    return Response(headers={"ETag": _tag(data)})


@router.get(f"/{BUCKET}/{{key:path}}")
async def download(request: Request, call: CallDep, services: ServicesDep, key: str) -> Response:
    """Hand out a result."""
    await call.identify(None)
    _verify(request, services, SignedRequest("GET", key, {}))
    data = await services.blobs.get(key)
    if data is None:
        raise ERRORS["NoSuchKey"].occur()
    media_type = MEDIA_TYPES.get(key.rpartition(".")[2], "binary/octet-stream")
    return Response(data, headers={"ETag": _tag(data)}, media_type=media_type)


def sign(
    request: Request, services: Services, settings: PerfectCorpSettings, signed: SignedRequest, owner: str
) -> str:
    """Return a URL for ``signed``, on the host that the client named in ``request``.

    So it works wherever the request came through: a container, a port mapping, the host itself.
    """
    return presign(
        signed,
        base_url=str(request.base_url),
        secret=_secret(services),
        now=services.clock.now(owner),
        seconds=settings.url_seconds,
    )


def _verify(request: Request, services: Services, signed: SignedRequest) -> None:
    if "authorization" in request.headers:
        raise ERRORS["TwoAuthMechanisms"].occur()
    names = [name for name, _ in request.query_params.multi_items()]
    if len(names) != len(set(names)):
        raise ERRORS["BadSignature"].occur()
    try:
        verify(signed, dict(request.query_params), secret=_secret(services), now=services.clock.now())
    except VendorError as error:
        if error.entry.name == "SignatureExpired":
            what = "result" if signed.method == "GET" else "upload"
            call_of(request).warn(f"{what}-url-expired", signed.key)
        raise


def _secret(services: Services) -> bytes:
    return services.ids.secret("perfectcorp/presign")


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
