"""The object store behind the presigned URLs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from emulator.clock import EVERYBODY
from emulator.vendors.perfectcorp.errors import ERRORS
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.vendors.perfectcorp.uploads import BUCKET, SignedRequest, presign, verify
from emulator.web.call import Call, CallDep
from emulator.web.catalogue import VendorError
from emulator.web.notices import contradicts, picture_type
from emulator.web.services import Services, ServicesDep

OBJECT = "perfectcorp/object"
"""The kind of record that says whose an object is, as soon as there is a URL to upload it to."""

MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png"}

router = APIRouter()


@dataclass(frozen=True)
class StoredFile:
    """A registered file: where its bytes are or will be, and since when."""

    object: str
    created_at: float

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StoredFile:
        """Return the file that a JSON object is.

        Raises
        ------
        ValueError
            If it is none.
        """
        return _STORED_FILE.validate_python(document)


_STORED_FILE = TypeAdapter(StoredFile)


@router.put(f"/{BUCKET}/{{key:path}}")
async def upload(request: Request, call: CallDep, services: ServicesDep, key: str) -> Response:
    """Take the bytes of a registered file."""
    await call.identify(await owner_of_object(services, key))
    if "content-length" not in request.headers:
        raise ERRORS["MissingContentLength"].occur()
    headers = {name: request.headers.get(name, "") for name in ("content-length", "content-type")}
    _verify(request, call, services, SignedRequest("PUT", key, headers))
    # The signature covers the length, and the server reads no more than the length that was said.
    sent = await request.body()
    content_type = headers["content-type"]
    if contradicts(content_type, sent):
        call.warn("upload-content-type-mismatch", f"{content_type} is said, {picture_type(sent)} was sent")
    data = await services.degraded(sent, call.picture_fault)
    await services.blobs.put(key, data, call.credential or EVERYBODY)
    return Response(headers={"ETag": _tag(data)})


@router.get(f"/{BUCKET}/{{key:path}}")
async def download(request: Request, call: CallDep, services: ServicesDep, key: str) -> Response:
    """Hand out a result."""
    await call.identify(await owner_of_object(services, key))
    _verify(request, call, services, SignedRequest("GET", key, {}))
    data = await services.blobs.get(key)
    if data is None:
        raise ERRORS["NoSuchKey"].occur()
    media_type = MEDIA_TYPES.get(key.rpartition(".")[2], "binary/octet-stream")
    return Response(data, headers={"ETag": _tag(data)}, media_type=media_type)


async def note_owner(services: Services, key: str, owner: str) -> None:
    """Record whose an object is, before it is uploaded."""
    await services.records.put(OBJECT, key, owner, {})


async def owner_of_object(services: Services, key: str) -> str | None:
    """Return the API key whose upload or result an object is, or None if nobody knows it."""
    record = await services.records.get(OBJECT, key)
    return await services.blobs.scope_of(key) if record is None else record.scope


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


def _verify(request: Request, call: Call, services: Services, signed: SignedRequest) -> None:
    if "authorization" in request.headers:
        raise ERRORS["TwoAuthMechanisms"].occur()
    names = [name for name, _ in request.query_params.multi_items()]
    if len(names) != len(set(names)):
        raise ERRORS["BadSignature"].occur()
    now = services.clock.now(call.credential or EVERYBODY)
    try:
        verify(signed, dict(request.query_params), secret=_secret(services), now=now)
    except VendorError as error:
        if error.entry.name == "SignatureExpired":
            what = "result" if signed.method == "GET" else "upload"
            call.warn(f"{what}-url-expired", signed.key)
        raise


def _secret(services: Services) -> bytes:
    return services.ids.secret("perfectcorp/presign")


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
