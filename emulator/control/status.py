"""Routes that return whether the emulator is running and ready. They are served even during startup."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from fastapi import APIRouter, FastAPI, Response
from pydantic import BaseModel, Field

from emulator.backends.unavailable import StoreUnavailable
from emulator.deferral import DeferredAdapter
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


_REPLICAS = DeferredAdapter(list[ReplicaState])


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
        description="Servers and `face-emulator worker` processes that use the same database. Null if only "
        "this process can use the database, or if the database is unavailable."
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


class Status:
    """The state of the emulator.

    ``runs`` describes the database, the blobs and the queue.
    """

    def __init__(
        self, world: World, vendors: Sequence[Vendor], version: str, progress: Progress, runs: dict[str, str]
    ) -> None:
        self._world = world
        self._vendors = vendors
        self._version = version
        self._progress = progress
        self._runs = runs

    async def health(self) -> Health:
        """Return the version and the vendors of the emulator, and where it keeps its state."""
        world = self._world
        journal, load = world.journal, world.queue.load()
        tasks: TaskQueue | None = None
        replicas: list[ReplicaState] | None = None
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(DATABASE_SECONDS):
                await journal.catch_up()
                tasks = TaskQueue.model_validate(await world.queue.backlog(), from_attributes=True)
                registered = await world.replicas.registered()
                if registered is not None:
                    replicas = _REPLICAS.validate_python(registered, from_attributes=True)
        return Health(
            status="ok",
            version=self._version,
            vendors={vendor.name: list(vendor.prefixes) for vendor in self._vendors},
            credentials={vendor.name: list(vendor.credential) for vendor in self._vendors},
            capabilities=list(CAPABILITIES),
            runs=self._runs,
            workers=Workers(count=load.workers, alive=load.alive),
            waiting=load.waiting,
            tasks=tasks,
            replicas=replicas,
            journal=JournalState(last=journal.last, last_dropped=journal.last_dropped)
            if journal.is_on
            else None,
            tls=self._progress.tls,
        )

    async def readiness(self) -> Readiness:
        """Return whether the emulator is ready."""
        cold = self._world.queue.why_not_warm
        failure = await self._world.storage_failure()
        return Readiness(
            ready=cold is None and self._progress.hooks_run and failure is None,
            face_core_warm=cold is None,
            hooks_run=self._progress.hooks_run,
            workers=cold,
            storage=failure,
        )


def add_status_routes(app: FastAPI, status: Status) -> None:
    """Add the routes for the state of the emulator, which `status_router` describes.

    They return responses, because a model as the response of a route delays the start: FastAPI imports
    Pydantic 1 to check that the model is not one of it.
    """

    async def health() -> Response:
        return _answer(await status.health())

    async def ready() -> Response:
        found = await status.readiness()
        return _answer(found, 200 if found.ready else 503)

    app.add_api_route("/_emulator/health", health, include_in_schema=False)
    app.add_api_route("/_emulator/ready", ready, include_in_schema=False)


def _answer(found: Health | Readiness, code: int = 200) -> Response:
    return Response(found.model_dump_json(), code, media_type="application/json")


def status_router(status: Status) -> APIRouter:
    """Return a description of the routes of `add_status_routes` for the OpenAPI document."""
    router = APIRouter(tags=["world"])

    @router.get("/health")
    async def health() -> Health:
        """Check that the server is running.

        The server responds even before the emulator is ready.
        """
        return await status.health()

    @router.get("/ready", responses={503: {"model": Readiness}})
    async def ready() -> Readiness:
        """Check that the emulator is ready.

        The status is 200 once the init hooks (scenario files and scripts) have run and the face core (the
        code and the models that find and measure faces) is loaded. Before that, it is 503. It is also 503
        while a worker process that died is being replaced, and while the data folder, the database or the
        object store is not writable.
        """
        return await status.readiness()

    return router
