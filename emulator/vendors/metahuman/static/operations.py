"""The operation that serves static files."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePath

from fastapi import HTTPException, Request, Response

from emulator.vendors.metahuman.errors import SHARED
from emulator.vendors.metahuman.static.store import credential_of_file, get_file
from emulator.vendors.metahuman.wire import Detail
from emulator.web.call import CallDep, WorldDep
from emulator.web.digests import digest_of
from emulator.web.responses import HashedResponse
from emulator.web.vendor import Api
from emulator.world.operation import Answer, Example, Operation

FOLDER = "/static"
"""Path under which static files are served. They are also served under ``/face_recon/static``."""


_TYPES = {".png": "image/png", ".glb": "model/gltf-binary"}
"""Media type for each ending of a file's name."""


async def static(request: Request, call: CallDep, world: WorldDep, name: str) -> Response:
    """Download a texture or a model."""
    await call.identify(await credential_of_file(world, name))
    call.warn_of_parameters()
    data = await get_file(world, name)
    if data is None:
        raise HTTPException(404)
    digest = await digest_of(data, hashlib.sha256)
    tag = f'"{digest.hexdigest()[:32]}"'
    # The name of a file is not used again before a reset of its credential. So clients can cache files.
    headers = {"ETag": tag, "Cache-Control": "public, max-age=31536000, immutable"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return HashedResponse(data, digest, headers=headers, media_type=_TYPES.get(PurePath(name).suffix))


def unique_name(upload_name: str | None, number: bytes, ending: str) -> str:
    """Return the name of a file: the upload's name without its extension, a unique number, and an ending."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", PurePath(upload_name or "").stem)[:64].strip("_")
    return f"{stem or 'input_image'}_{number.hex()}_{ending}"


STATIC = Operation(
    name="static",
    methods=("GET", "HEAD"),
    paths=(f"{FOLDER}/{{name}}", f"/face_recon{FOLDER}/{{name}}"),
    endpoint=static,
    errors=SHARED,
    path_parameters={"name": "Name of the file, from `textureUrl` or `modelUrl`."},
    response_types=tuple(_TYPES.values()),
    other_answers={
        304: Answer("The `If-None-Match` header names the current `ETag` of the file."),
        404: Answer("The file does not exist.", Detail),
    },
    is_open=True,
    example=Example(path=f"{FOLDER}/nothing.png", needs="run_pipeline"),
)

api = Api("Static files", (STATIC,))
