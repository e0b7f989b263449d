"""Routes that return whether the emulator is running and ready. They are served even during startup."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, TypeAdapter

from emulator.backends.unavailable import StoreUnavailable
from emulator.control.descriptions import describe_routes
from emulator.web.vendor import Vendor
from emulator.world.world import World

DATABASE_SECONDS: Final = 1.0
"""Longest time to wait for the database, in real seconds. The server is healthy without it."""

CAPABILITIES = (
    "clock",
    "contracts",
    "costs",
    "credentials",
    "faces",
    "faults",
    "journal",
    "lifetimes",
    "metrics",
    "scenarios",
    "snapshot",
    "tasks",
    "webhooks",
    "world",
)
"""Tags of the routes of the control API. The routes themselves are added later."""


class Tls(BaseModel):
    """The TLS listener, which serves the vendors' own host names."""

    url: str = Field(description="Base URL of the listener.")
    folder: str = Field(
        description="Folder, on the server's machine, with the CA certificates that clients must trust."
    )
    names: list[str] = Field(description="Host names of the vendors.")


class JournalState(BaseModel):
    """The journal, which records calls."""

    last: int = Field(description="Number of the newest call, even if it was deleted; 0 if there is none.")
    last_dropped: int = Field(
        description="Number of the newest call that was deleted because of a limit of the journal; 0 if "
        "there is none."
    )


class Workers(BaseModel):
    """The worker processes, which compute the results."""

    count: int = Field(description="Number of workers in the settings.")
    alive: int = Field(description="Number of workers that are alive and have loaded the face core.")


class ReplicaState(BaseModel):
    """A server or worker that uses the same database."""

    role: str = Field(description="`server` or `worker`.")
    host: str = Field(description="Name of the machine or container.")
    pid: int = Field(description="Process id.")
    version: str = Field(description="Version of the emulator.")
    workers: int = Field(description="Number of worker processes of this server or worker.")
    started_at: datetime = Field(description="When the server or worker started, by the database's clock.")


_REPLICAS: TypeAdapter[list[ReplicaState] | None] = TypeAdapter(list[ReplicaState] | None)


class TaskQueue(BaseModel):
    """Tasks that are not finished, of all servers and workers that use the same database."""

    waiting: int = Field(description="Number of tasks that no server or worker has begun.")
    running: int = Field(description="Number of tasks that servers and workers are performing.")


class Health(BaseModel):
    """Version and vendors of the emulator, and where it keeps its state."""

    status: str = Field(description="Always `ok`.")
    version: str = Field(description="Version of the emulator.")
    vendors: dict[str, list[str]] = Field(description="Path prefixes of the vendors' APIs, by vendor.")
    credentials: dict[str, list[str]] = Field(
        description="Names of the parts of a credential, by vendor, such as `api_key` and `api_secret`."
    )
    capabilities: list[str] = Field(
        description="Parts of the control API that this server supports: the tags of its OpenAPI document."
    )
    runs: dict[str, str] = Field(
        description="Where the emulator keeps its database (`records`) and its files (`blobs`), and how it "
        "runs its `queue` of tasks."
    )
    workers: Workers = Field(description="The workers of this server.")
    waiting: int = Field(
        description="Number of work items, such as the computation for a task or a call, that wait for a "
        "worker of this server."
    )
    tasks: TaskQueue | None = Field(description="The queue of tasks; null if the database is unavailable.")
    replicas: list[ReplicaState] | None = Field(
        description="Servers and workers that use the same database. Null if only this process can use the "
        "database, or if the database is unavailable."
    )
    journal: JournalState | None = Field(description="The journal; null if it is off.")
    tls: Tls | None = Field(default=None, description="The TLS listener; null if TLS is off.")


class Readiness(BaseModel):
    """Readiness of the emulator."""

    ready: bool = Field(
        description="Whether the init hooks have run, the face core is loaded, and the state can be written."
    )
    face_core_warm: bool = Field(
        description="Whether all workers are alive and have loaded the face core: the code and the models "
        "that find and measure faces."
    )
    hooks_run: bool = Field(description="Whether all init hooks have run; true if there are none.")
    workers: str | None = Field(
        description="Why the workers are not ready, such as a worker that died; null if they are ready."
    )
    storage: str | None = Field(
        description="Why the data folder, the database or the object store is not writable, such as a full "
        "disk; null if all are writable."
    )


class Progress:
    """Progress of the startup. The code that starts the server updates this object."""

    def __init__(self, *, hooks_run: bool) -> None:
        self.hooks_run = hooks_run
        self.tls: Tls | None = None


def status_router(
    world: World, vendors: Sequence[Vendor], version: str, progress: Progress, runs: dict[str, str]
) -> APIRouter:
    """Return the routes. ``runs`` describes the database, the blobs and the queue."""
    router = APIRouter(prefix="/_emulator", tags=["world"])

    @router.get("/health")
    async def health() -> Health:
        """Check that the server is running.

        The server responds even before the emulator is ready.
        """
        journal, load = world.journal, world.queue.load()
        tasks: TaskQueue | None = None
        replicas: list[ReplicaState] | None = None
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(DATABASE_SECONDS):
                await journal.catch_up()
                tasks = TaskQueue.model_validate(await world.queue.backlog(), from_attributes=True)
                replicas = _REPLICAS.validate_python(await world.replicas.registered(), from_attributes=True)
        return Health(
            status="ok",
            version=version,
            vendors={vendor.name: list(vendor.prefixes) for vendor in vendors},
            credentials={vendor.name: list(vendor.credential) for vendor in vendors},
            capabilities=list(CAPABILITIES),
            runs=runs,
            workers=Workers(count=load.workers, alive=load.alive),
            waiting=load.waiting,
            tasks=tasks,
            replicas=replicas,
            journal=JournalState(last=journal.last, last_dropped=journal.last_dropped)
            if journal.is_on
            else None,
            tls=progress.tls,
        )

    @router.get("/ready", responses={503: {"model": Readiness}})
    async def ready(response: Response) -> Readiness:
        """Check that the emulator is ready.

        The status is 200 once the init hooks (scenario files and scripts) have run and the face core (the
        code and the models that find and measure faces) is loaded. Before that, it is 503. It is also 503
        while a worker process that died is being replaced, and while the data folder, the database or the
        object store is not writable.
        """
        cold = world.queue.why_not_warm
        failure = await world.storage_failure()
        found = Readiness(
            ready=cold is None and progress.hooks_run and failure is None,
            face_core_warm=cold is None,
            hooks_run=progress.hooks_run,
            workers=cold,
            storage=failure,
        )
        response.status_code = 200 if found.ready else 503
        return found

    describe_routes(router)
    return router
