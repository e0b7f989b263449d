"""The operations that register, upload and download files."""

from __future__ import annotations

import hashlib

from fastapi import Request, Response

from emulator.vendors.perfectcorp.body import read_body
from emulator.vendors.perfectcorp.caller import CallerDep, CallerSettingsDep
from emulator.vendors.perfectcorp.errors import SHARED
from emulator.vendors.perfectcorp.files.errors import STORE
from emulator.vendors.perfectcorp.files.presigned import BUCKET, SignedRequest
from emulator.vendors.perfectcorp.files.store import check_signature, credential_of_object, register
from emulator.vendors.perfectcorp.files.wire import NewFiles, RegisteredFiles, check_file, render_files
from emulator.vendors.perfectcorp.wire import Data
from emulator.web.call import CallDep, WorldDep
from emulator.web.media_types import contradicts, picture_type
from emulator.web.vendor import Api
from emulator.world.operation import Example, Operation

MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png"}

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
    if "content-length" not in request.headers:
        raise STORE["MissingContentLength"].occur()
    headers = {name: request.headers.get(name, "") for name in ("content-length", "content-type")}
    check_signature(request, call, world, SignedRequest("PUT", key, headers))
    # The signature covers Content-Length, and the server reads no more bytes than that.
    sent = await request.body()
    content_type = headers["content-type"]
    if contradicts(content_type, sent):
        call.warn("upload-content-type-mismatch", f"declared {content_type}, sent {picture_type(sent)}")
    data = await world.degraded(sent, call.picture_fault)
    # The URL of a deleted file stays valid. Do not store such an upload, because no key could delete it.
    if owner is not None:
        await world.blobs.put(key, data, owner)
    return Response(headers={"ETag": _tag(data)})


async def download(request: Request, call: CallDep, world: WorldDep, key: str) -> Response:
    """Download the result of a task."""
    await call.identify(await credential_of_object(world, key))
    check_signature(request, call, world, SignedRequest("GET", key, {}))
    data = await world.blobs.get(key)
    if data is None:
        raise STORE["NoSuchKey"].occur()
    media_type = MEDIA_TYPES.get(key.rpartition(".")[2], "binary/octet-stream")
    return Response(data, headers={"ETag": _tag(data)}, media_type=media_type)


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


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
    errors=STORE.only(*(entry.name for entry in STORE if entry.name != "NoSuchKey")),
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
    methods=("GET",),
    paths=(OBJECT_PATH,),
    endpoint=download,
    errors=STORE.only(*(entry.name for entry in STORE if entry.name != "MissingContentLength")),
    path_parameters={"key": "Key of the result in the object store, as in the presigned URL."},
    response_type="image/jpeg",
    is_open=True,
    longest_body=lambda _settings: None,
    example=Example(needs="check_reshape", path=f"/{BUCKET}/ttl30/results/me.jpg"),
)

api = Api("Files", (CREATE_FILE, UPLOAD, DOWNLOAD))
