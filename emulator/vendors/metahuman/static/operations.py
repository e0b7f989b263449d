"""The operation that serves files, and the folder that they are in."""

from __future__ import annotations

import hashlib

from fastapi import HTTPException, Request, Response

from emulator.vendors.metahuman.errors import SHARED
from emulator.vendors.metahuman.wire import Detail
from emulator.web.call import CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.operation import Answer, Example, Operation
from emulator.world.world import World

FOLDER = "/static"
"""The folder that ``textureUrl`` names; also served below ``/face_recon``."""


async def static(request: Request, call: CallDep, world: WorldDep, name: str) -> Response:
    """Download a texture."""
    await call.identify(await credential_of_file(world, name))
    call.warn_of_parameters()
    data = await world.blobs.get(_key(name))
    if data is None:
        raise HTTPException(404)
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    # No name is given twice, unless the credential was reset: what it names does not change.
    headers = {"ETag": tag, "Cache-Control": "public, max-age=31536000, immutable"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type="image/png")


async def put_file(world: World, name: str, data: bytes, credential: str) -> None:
    """Put a file into the folder."""
    await world.blobs.put(_key(name), data, credential)


async def credential_of_file(world: World, name: str) -> str | None:
    """Return the token for which a file was made, or None if there is no such file."""
    return await world.blobs.credential_of(_key(name))


def _key(name: str) -> str:
    return f"metahuman/static/{name}"


STATIC = Operation(
    name="static",
    methods=("GET", "HEAD"),
    paths=(f"{FOLDER}/{{name}}", f"/face_recon{FOLDER}/{{name}}"),
    endpoint=static,
    errors=SHARED,
    response_type="image/png",
    other_answers={
        304: Answer("The client has it already."),
        404: Answer("There is no such file.", Detail),
    },
    is_open=True,
    example=Example(path=f"{FOLDER}/nothing.png", needs="run_pipeline"),
)

api = Api("Static files", (STATIC,))
