"""The operations that register, upload and download files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from fastapi import Request, Response

from emulator.vendors.perfectcorp.body import read_body
from emulator.vendors.perfectcorp.caller import CallerDep, CallerSettingsDep
from emulator.vendors.perfectcorp.errors import SHARED
from emulator.vendors.perfectcorp.files.conditions import RangeUnsatisfiable, Version, read_range
from emulator.vendors.perfectcorp.files.errors import DOWNLOAD_ERRORS, STORE, UPLOAD_ERRORS
from emulator.vendors.perfectcorp.files.presigned import BUCKET
from emulator.vendors.perfectcorp.files.store import (
    check_signature,
    credential_of_object,
    finished_at,
    register,
)
from emulator.vendors.perfectcorp.files.wire import NewFiles, RegisteredFiles, check_file, render_files
from emulator.vendors.perfectcorp.wire import Data
from emulator.web.call import CallDep, WorldDep
from emulator.web.media_types import contradicts, picture_type
from emulator.web.vendor import Api
from emulator.world.operation import Answer, Example, Operation

MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png"}

MD5_BYTES = 16

OBJECT_PATH = f"/{BUCKET}/{{key:path}}"


async def create_file(
    request: Request, credential: CallerDep, call: CallDep, world: WorldDep, settings: CallerSettingsDep
) -> Response:
    """Register files, and get an upload URL for each."""
    if request.path_params:
        call.warn("deprecated-path", f"{request.url.path} was replaced by /s2s/v2.0/file in v1.14")
    body = await read_body(request, NewFiles)
    for file in body.files:
        check_file(file, settings.file_bytes, settings.video_bytes)
    async with world.creations.of(credential):
        registered = [await register(file, request, world, settings, credential) for file in body.files]
    return render_files(registered)


async def upload(request: Request, call: CallDep, world: WorldDep, key: str) -> Response:
    """Upload a registered file to its presigned URL."""
    owner = await credential_of_object(world, key)
    await call.identify(owner)
    if "transfer-encoding" in request.headers:
        raise STORE["StoreNotImplemented"].occur()
    if "content-length" not in request.headers:
        raise STORE["MissingContentLength"].occur()
    digest = request.headers.get("content-md5")
    if digest is not None and not _is_md5(digest):
        raise STORE["InvalidDigest"].occur(digest=digest)
    check_signature(request, call, world, key)
    # The signature covers Content-Length, and the server reads no more bytes than that.
    sent = await request.body()
    content_type = request.headers.get("content-type", "")
    if contradicts(content_type, sent):
        call.warn("upload-content-type-mismatch", f"declared {content_type}, sent {picture_type(sent)}")
    data = await world.degraded(sent, call.picture_fault)
    # The URL of a deleted file stays valid. Do not store such an upload, because no key could delete it.
    if owner is not None:
        await world.blobs.put(key, data, owner)
    return Response(headers={"ETag": f'"{_tag(data)}"'})


async def download(request: Request, call: CallDep, world: WorldDep, key: str) -> Response:
    """Download the result of a task.

    A client can ask for a range of bytes, for example to resume a download.
    """
    await call.identify(await credential_of_object(world, key))
    check_signature(request, call, world, key)
    data, modified_at = await world.blobs.get(key), await finished_at(world, key)
    if data is None or modified_at is None:
        raise STORE["NoSuchKey"].occur()
    version = Version(_tag(data), modified_at)
    given = {name: ", ".join(request.headers.getlist(name)) for name in request.headers}
    failed = version.failed_precondition(given)
    if failed is not None:
        raise STORE["PreconditionFailed"].occur(condition=failed)
    if version.is_known(given):
        return Response(status_code=304, headers=version.headers)
    media_type = MEDIA_TYPES.get(key.rpartition(".")[2], "binary/octet-stream")
    headers = {**version.headers, "Accept-Ranges": "bytes"}
    part = _requested_part(given, version, len(data))
    if part is None:
        return Response(data, headers=headers, media_type=media_type)
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(data)}"
    return Response(data[part.start : part.stop], 206, headers, media_type)


def _requested_part(headers: Mapping[str, str], version: Version, size: int) -> range | None:
    """Return the positions of the bytes that a request asks for, or None for all."""
    if "range" not in headers or not version.allows_range(headers):
        return None
    try:
        return read_range(headers["range"], size)
    except RangeUnsatisfiable as error:
        raise STORE["InvalidRange"].occur(requested=headers["range"], size=size) from error


def _is_md5(digest: str) -> bool:
    try:
        return len(base64.b64decode(digest, validate=True)) == MD5_BYTES
    except ValueError:
        return False


def _tag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


CREATE_FILE = Operation(
    name="create_file",
    methods=("POST",),
    paths=("/s2s/v2.0/file", "/s2s/v2.0/file/{feature}"),
    endpoint=create_file,
    errors=SHARED,
    path_parameters={"feature": "Name of a feature, such as `face-reshape`. It has no effect."},
    request=NewFiles,
    response=Data[RegisteredFiles],
    example=Example(
        headers={"Authorization": "Bearer {key}"},
        json={"files": [{"content_type": "image/jpeg", "file_name": "me.jpg", "file_size": 47437}]},
    ),
)

UPLOAD = Operation(
    name="upload",
    methods=("PUT",),
    paths=(OBJECT_PATH,),
    endpoint=upload,
    takes_picture=True,
    errors=UPLOAD_ERRORS,
    path_parameters={"key": "Key of the file in the object store, as in the presigned URL."},
    request=bytes,
    request_types=("image/jpeg", "image/png"),
    response_type="application/octet-stream",
    is_open=True,
    # The signature covers Content-Length, and the server reads no more bytes than that.
    longest_body=lambda _settings: None,
    example=Example(needs="create_file", path=f"/{BUCKET}/ttl30/me.jpg"),
)

DOWNLOAD = Operation(
    name="download",
    # A URL is signed for one method, so that HEAD is refused as S3 refuses it.
    methods=("GET", "HEAD"),
    paths=(OBJECT_PATH,),
    endpoint=download,
    errors=DOWNLOAD_ERRORS,
    path_parameters={"key": "Key of the result in the object store, as in the presigned URL."},
    response_type="image/jpeg",
    other_answers={
        206: Answer("The bytes that the `Range` header requests."),
        304: Answer("The client has this result already, by its `If-None-Match` or `If-Modified-Since`."),
    },
    is_open=True,
    longest_body=lambda _settings: None,
    example=Example(needs="check_reshape", path=f"/{BUCKET}/ttl30/results/me.jpg"),
)

api = Api("Files", (CREATE_FILE, UPLOAD, DOWNLOAD))
