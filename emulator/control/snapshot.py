"""All state to one file, and back."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from typing import IO, Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, TypeAdapter

from emulator.backends.snapshot import Check, SnapshotInvalid, read_snapshot, save_snapshot
from emulator.tasks.runner import KIND as TASK
from emulator.tasks.task import Task
from emulator.web.credentials import KIND as CREDENTIAL
from emulator.web.credentials import CredentialState
from emulator.web.journal import KIND as JOURNAL
from emulator.web.journal import check_calls
from emulator.web.services import Services
from emulator.webhooks.delivery import Delivery
from emulator.webhooks.outbox import DELIVERY

MEDIA_TYPE = "application/zip"
CHUNK_BYTES = 1024 * 1024


NUMBERS = TypeAdapter(list[Annotated[float, Field(strict=True)] | None])


class Restored(BaseModel):
    """What a snapshot held."""

    emulator: str = Field(description="The version of the emulator that wrote it.")
    documents: int
    counters: int
    blobs: int


def snapshot_router(services: Services, version: str) -> APIRouter:
    """Return the routes that save and restore everything; ``version`` is the emulator's."""
    router = APIRouter(tags=["snapshot"])
    restoring = asyncio.Lock()

    @router.get("/snapshot", response_class=StreamingResponse, responses={200: {"content": {MEDIA_TYPE: {}}}})
    async def save() -> StreamingResponse:
        """Download everything that is stored: tasks, files, units, credentials, settings of tests."""
        # A file without a name: it is gone with the answer, however that ends.
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer is sent after this returns
        await save_snapshot(services.records, services.blobs, file, version)
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
                snapshot = await read_snapshot(file, _checks(services))
            except SnapshotInvalid as error:
                raise HTTPException(422, str(error)) from error
            async with restoring, services.creations.stopped(None), services.tasks.paused(None):
                for forget in services.forgetters:
                    await forget(None)
                await snapshot.restore(services.records, services.blobs)
                await services.load()
        return Restored.model_validate(snapshot.manifest, from_attributes=True)

    return router


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await anyio.to_thread.run_sync(file.read, CHUNK_BYTES):
            yield chunk


def _checks(services: Services) -> Mapping[str, Check]:
    """Return, by kind of document, what has to understand one."""
    kept = {each.kind: each.decode for each in services.kept}

    def check_task(document: Mapping[str, Any]) -> None:
        task = Task.from_document(document)
        if task.kind not in services.tasks.kinds:
            raise ValueError(f"no job performs {task.kind!r}")
        NUMBERS.validate_python([task.created_at, task.started_at, task.finished_at, task.polled_at])

    def check_delivery(document: Mapping[str, Any]) -> None:
        delivery = Delivery.from_document(document)
        if delivery.vendor not in services.webhooks.vendors:
            raise ValueError(f"{delivery.vendor!r} has no webhooks")
        NUMBERS.validate_python([delivery.next_at, *(attempt.at for attempt in delivery.attempts)])

    rest = {
        TASK: check_task,
        CREDENTIAL: _check_credential,
        DELIVERY: check_delivery,
        JOURNAL: check_calls,
    }
    return {**rest, **kept, **services.checks}


def _check_credential(document: Mapping[str, Any]) -> None:
    CredentialState(document["state"])
