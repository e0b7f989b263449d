"""Routes for snapshots: save all state to a file, and restore it from the file."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from typing import IO, Annotated

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from emulator.backends.snapshot import SnapshotInvalid, read_snapshot, save_snapshot
from emulator.backends.unavailable import store_errors
from emulator.control.refusals import HTTPValidationError
from emulator.world.hiding import Hiding
from emulator.world.world import World

MEDIA_TYPE = "application/zip"
CHUNK_BYTES = 1024 * 1024


WithoutSecrets = Annotated[
    bool,
    Query(
        description="Whether to replace credentials and secrets of webhooks by other values in the "
        "snapshot, and to omit the passwords and queries of URLs. Pictures are not changed."
    ),
]


class Restored(BaseModel):
    """The content of a restored snapshot."""

    emulator: str = Field(description="Version of the emulator that wrote the snapshot.")
    documents: int = Field(
        description="Number of stored objects in the snapshot, such as tasks, rules and clocks."
    )
    counters: int = Field(
        description="Number of counters in the snapshot. New ids are derived from counters."
    )
    blobs: int = Field(description="Number of files in the snapshot, such as pictures and results.")


def snapshot_router(world: World, version: str) -> APIRouter:
    """Return the routes for snapshots; ``version`` is the version of the emulator."""
    router = APIRouter(tags=["snapshot"])
    restoring = asyncio.Lock()

    @router.get("/snapshot", response_class=StreamingResponse, responses={200: {"content": {MEDIA_TYPE: {}}}})
    async def save(without_secrets: WithoutSecrets = False) -> StreamingResponse:  # noqa: FBT002 - a query
        """Download all state as a snapshot.

        The zip file contains all stored state, such as tasks, files, units (a vendor's currency, such as
        credits), states of credentials, clocks and fault rules. It also contains credentials and secrets of
        webhooks, unless `without_secrets` is true.
        """
        # The file has no name, so the system deletes it when it is closed, even after a crash.
        with store_errors(), contextlib.ExitStack() as stack:
            file = stack.enter_context(tempfile.TemporaryFile())
            change = await _hiding(world) if without_secrets else None
            await save_snapshot(world.records, world.blobs, file, version, change)
            stack.pop_all()  # the response is sent after this returns
        headers = {
            "Content-Length": str(file.tell()),
            "Content-Disposition": 'attachment; filename="snapshot.zip"',
        }
        file.seek(0)
        return StreamingResponse(_chunks(file), media_type=MEDIA_TYPE, headers=headers)

    @router.put(
        "/snapshot",
        openapi_extra={"requestBody": {"content": {MEDIA_TYPE: {}}, "required": True}},
        responses={
            422: {
                "model": HTTPValidationError,
                "description": "The file is not a valid snapshot. Nothing was changed.",
            }
        },
    )
    async def restore(request: Request) -> Restored:
        """Replace all state with a snapshot.

        Tasks that are not finished in the snapshot start again.
        """
        with store_errors(), tempfile.TemporaryFile() as file:
            async for chunk in request.stream():
                await anyio.to_thread.run_sync(file.write, chunk)
            try:
                snapshot = await read_snapshot(file, world.checks, world.entry_checks)
            except SnapshotInvalid as error:
                raise HTTPException(422, str(error)) from error
            async with (
                restoring,
                world.creations.stopped(None),
                world.tasks.paused(None),
                world.journal.paused(),
            ):
                # If this raises, the old state is still complete, in the records and in memory.
                await snapshot.restore(world.records, world.blobs, partial(_load, world))
                await snapshot.drop_other_blobs(world.blobs)
        return Restored.model_validate(snapshot.manifest, from_attributes=True)

    return router


async def _hiding(world: World) -> Hiding:
    entries = [entry async for entry in world.records.export()]
    return Hiding(world, entries, await world.blobs.keys())


async def _load(world: World) -> None:
    """Replace the state in memory with the state in the restored database."""
    for each in world.stateful:
        # ``load`` replaces all state that is stored in the database. Clear only the other state here, because
        # ``forget`` would also delete the restored documents.
        if not each.checks:
            await each.forget(None)
    await world.load()


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await anyio.to_thread.run_sync(file.read, CHUNK_BYTES):
            yield chunk
