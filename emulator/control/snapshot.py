"""All state to one file, and back."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import IO

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from emulator.backends.snapshot import SnapshotInvalid, read_snapshot, save_snapshot
from emulator.world.world import World

MEDIA_TYPE = "application/zip"
CHUNK_BYTES = 1024 * 1024


class Restored(BaseModel):
    """What a snapshot held."""

    emulator: str = Field(description="The version of the emulator that wrote it.")
    documents: int
    counters: int
    blobs: int


def snapshot_router(world: World, version: str) -> APIRouter:
    """Return the routes that save and restore everything; ``version`` is the emulator's."""
    router = APIRouter(tags=["snapshot"])
    restoring = asyncio.Lock()

    @router.get("/snapshot", response_class=StreamingResponse, responses={200: {"content": {MEDIA_TYPE: {}}}})
    async def save() -> StreamingResponse:
        """Download everything that is stored: tasks, files, units, credentials, settings of tests."""
        # A file without a name: it is gone with the answer, however that ends.
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer is sent after this returns
        await save_snapshot(world.records, world.blobs, file, version)
        headers = {
            "Content-Length": str(file.tell()),
            "Content-Disposition": 'attachment; filename="snapshot.zip"',
        }
        file.seek(0)
        return StreamingResponse(_chunks(file), media_type=MEDIA_TYPE, headers=headers)

    @router.put(
        "/snapshot",
        openapi_extra={"requestBody": {"content": {MEDIA_TYPE: {}}, "required": True}},
        responses={422: {"description": "The file is no snapshot; nothing has changed."}},
    )
    async def restore(request: Request) -> Restored:
        """Replace everything by a snapshot; tasks that were not finished in it are performed."""
        with tempfile.TemporaryFile() as file:
            async for chunk in request.stream():
                file.write(chunk)
            try:
                snapshot = await read_snapshot(file, world.checks)
            except SnapshotInvalid as error:
                raise HTTPException(422, str(error)) from error
            async with (
                restoring,
                world.creations.stopped(None),
                world.tasks.paused(None),
                world.journal.paused(),
            ):
                # If this raises, nothing of the former state has gone, in the records or in memory.
                await snapshot.restore(world.records, world.blobs)
                await _load(world)
                await snapshot.drop_other_blobs(world.blobs)
        return Restored.model_validate(snapshot.manifest, from_attributes=True)

    return router


async def _load(world: World) -> None:
    """Have the memory follow the records, which are others now."""
    for each in world.stateful:
        # What has records is replaced as it is loaded, and would delete the new ones if it forgot.
        if not each.checks:
            await each.forget(None)
    await world.load()


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await anyio.to_thread.run_sync(file.read, CHUNK_BYTES):
            yield chunk
