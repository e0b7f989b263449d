"""The operations that register, upload and download files."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import Request, Response

from emulator.vendors.perfectcorp.body import is_missing, read_body
from emulator.vendors.perfectcorp.caller import CallerDep, CallerSettingsDep, LegacyCallerDep
from emulator.vendors.perfectcorp.errors import SHARED, V1, V2
from emulator.vendors.perfectcorp.files.conditions import RangeUnsatisfiable, Version, read_range
from emulator.vendors.perfectcorp.files.errors import DOWNLOAD_ERRORS, STORE, UPLOAD_ERRORS
from emulator.vendors.perfectcorp.files.presigned import BUCKET
from emulator.vendors.perfectcorp.files.store import (
    AnyFile,
    check_signature,
    credential_of_object,
    finished_at,
    register,
)
from emulator.vendors.perfectcorp.files.wire import (
    FilesOf,
    LegacyFiles,
    LegacyFilesOf,
    NewFiles,
    check_file,
    registered,
)
from emulator.vendors.perfectcorp.settings import VENDOR, PerfectCorpSettings, SettingsDep
from emulator.vendors.perfectcorp.wire import render_unchecked
from emulator.web.call import Call, CallDep, WorldDep
from emulator.web.digests import md5_of
from emulator.web.media_types import contradicts, picture_type
from emulator.web.vendor import Api
from emulator.world.operation import Answer, Example, Operation
from emulator.world.world import World

MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png"}

MD5_BYTES = 16

FILE_PATH = "/s2s/v2.0/file"

SLUGS = ("/{feature}", "/{feature}/{part}")
SLUG_PARAMETERS = {
    "feature": "Name of a feature, such as `face-reshape`. The name has no effect.",
    "part": "Second part of the name, such as `ring` in `2d-vto/ring`. The name has no effect.",
}

LEGACY_PATHS = {
    f"/s2s/{version}/file{slug}": needs_size
    for version, needs_size in (("v1.0", False), ("v1.1", True))
    for slug in SLUGS
}
"""For each v1 path, whether the registration of a file must include the size of the file."""

OBJECT_PATH = f"/{BUCKET}/{{key:path}}"


async def create_file(
    request: Request, credential: CallerDep, call: CallDep, world: WorldDep, settings: CallerSettingsDep
) -> Response:
    """Register files, and get an upload URL for each."""
    _warn_of_path(request, call)
    body = await read_body(request, NewFiles, _counting(settings))
    data = await _register(body.files, request, world, settings, credential)
    return render_unchecked({"status": 200, "data": data})


async def create_file_v1(
    request: Request, credential: LegacyCallerDep, call: CallDep, world: WorldDep, settings: SettingsDep
) -> Response:
    """Register files under a v1 path, and get an upload URL for each."""
    _warn_of_path(request, call)
    body = await read_body(request, LegacyFiles, _counting(settings))
    if LEGACY_PATHS[request.scope["route"].path] and any(file.file_size is None for file in body.files):
        raise V1["InvalidParameters"].occur(sentence=is_missing("file_size"))
    settings = world.lifetimes.of(VENDOR, credential, settings)
    result = await _register(body.files, request, world, settings, credential)
    return render_unchecked({"status": 200, "result": result})


def _warn_of_path(request: Request, call: Call) -> None:
    # The path of the scope is known. To build the URL takes longer than to sign one.
    if request.scope["path"] != FILE_PATH:
        call.warn("deprecated-path", f"{request.url.path} was replaced by {FILE_PATH} in v1.14")


def _counting(settings: PerfectCorpSettings) -> Callable[[Mapping[str, Any]], None]:
    """Return a function that refuses a body with too many files, before each of them is validated."""

    def check(document: Mapping[str, Any]) -> None:
        files = document.get("files")
        if isinstance(files, list) and len(files) > settings.most_files:
            raise SHARED["InvalidParameters"].occur(sentence="files is above the allowed maximum.")

    return check


async def _register(
    files: Sequence[AnyFile],
    request: Request,
    world: World,
    settings: PerfectCorpSettings,
    credential: str,
) -> dict[str, Any]:
    """Register files, and return them with their upload URLs, in the form of `RegisteredFiles`."""
    for file in files:
        check_file(file, settings.file_bytes, settings.video_bytes)
    async with world.creations.of(credential):
        return registered(await register(files, request, world, settings, credential))


async def upload(request: Request, call: CallDep, world: WorldDep, key: str) -> Response:
    """Upload a registered file to its presigned URL."""
    credential = await credential_of_object(world, key)
    await call.identify(credential)
    if "transfer-encoding" in request.headers:
        raise STORE["StoreNotImplemented"].occur()
    if "content-length" not in request.headers:
        raise STORE["MissingContentLength"].occur()
    digest = request.headers.get("content-md5")
    if digest is not None and not _is_md5(digest):
        raise STORE["InvalidDigest"].occur(digest=digest)
    check_signature(request, call, world, key)
    sent = await request.body()
    content_type = request.headers.get("content-type", "")
    if contradicts(content_type, sent):
        call.warn("upload-content-type-mismatch", f"declared {content_type}, sent {picture_type(sent)}")
    data = await world.degraded(sent, call.picture_fault)
    # The URL of a deleted file stays valid. Do not store an upload to such a URL: no key could delete it.
    if credential is not None:
        await world.blobs.put(key, data, credential)
    return Response(headers={"ETag": f'"{await _tag(data)}"'})


async def download(request: Request, call: CallDep, world: WorldDep, key: str) -> Response:
    """Download the result of a task."""
    await call.identify(await credential_of_object(world, key))
    check_signature(request, call, world, key)
    data, modified_at = await world.blobs.get(key), await finished_at(world, key)
    if data is None or modified_at is None:
        raise STORE["NoSuchKey"].occur()
    version = Version(await _tag(data), modified_at)
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
    """Return the positions of the bytes that a request asks for, or None for the whole object."""
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


async def _tag(data: bytes) -> str:
    tag: str = (await md5_of(data)).hexdigest()
    return tag


CREATE_FILE = Operation(
    name="create_file",
    methods=("POST",),
    paths=tuple(f"/s2s/{version}/file{slug}" for version in ("v2.0", "v2.1") for slug in ("", *SLUGS)),
    endpoint=create_file,
    errors=V2,
    path_parameters=SLUG_PARAMETERS,
    request=NewFiles,
    response=FilesOf,
    example=Example(
        headers={"Authorization": "Bearer {key}"},
        json={"files": [{"content_type": "image/jpeg", "file_name": "me.jpg", "file_size": 47437}]},
    ),
)

CREATE_FILE_V1 = Operation(
    name="create_file_v1",
    methods=("POST",),
    paths=tuple(LEGACY_PATHS),
    endpoint=create_file_v1,
    errors=V1,
    path_parameters=SLUG_PARAMETERS,
    request=LegacyFiles,
    response=LegacyFilesOf,
    example=Example(
        headers={"Authorization": "Bearer {key}"},
        path="/s2s/v1.0/file/face-reshape",
        json={"files": [{"content_type": "image/jpeg", "file_name": "me.jpg"}]},
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
    request_types=("image/*", "video/*"),
    response_types=("application/octet-stream",),
    is_open=True,
    # Only files that were registered without a size need this limit. For others, Content-Length is signed.
    longest_body=lambda settings: max(settings.file_bytes, settings.video_bytes),
    too_large=STORE["EntityTooLarge"].occur(),
    longest_pause_s=lambda settings: settings.upload_pause_s,
    timed_out=STORE["RequestTimeout"].occur(),
    example=Example(needs="create_file", path=f"/{BUCKET}/ttl30/me.jpg"),
)

DOWNLOAD = Operation(
    name="download",
    # HEAD is served only to return the same error as S3: the URL is signed for another method, GET.
    methods=("GET", "HEAD"),
    paths=(OBJECT_PATH,),
    endpoint=download,
    errors=DOWNLOAD_ERRORS,
    path_parameters={"key": "Key of the result in the object store, as in the presigned URL."},
    response_types=("image/jpeg", "image/png"),
    other_answers={
        206: Answer("The bytes that the `Range` header requests."),
        304: Answer(
            "According to `If-None-Match` or `If-Modified-Since`, the client already has this result."
        ),
    },
    is_open=True,
    longest_body=lambda _settings: None,
    example=Example(needs="check_reshape", path=f"/{BUCKET}/ttl30/results/me.jpg"),
)

api = Api("Files", (CREATE_FILE, CREATE_FILE_V1, UPLOAD, DOWNLOAD))
