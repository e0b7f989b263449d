"""Routes for the whole emulator: health, readiness and reset."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from emulator.control.dependencies import CredentialText
from emulator.web.vendor import Vendor
from emulator.world.world import World


class CertificateFile(StrEnum):
    """A file with certificates."""

    CA = "ca.pem"
    BUNDLE = "bundle.pem"
    TRUST_STORE = "truststore.p12"


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


class Health(BaseModel):
    """Version and vendors of the emulator, and where it keeps its state."""

    status: str = Field(description="Always `ok`.")
    version: str = Field(description="Version of the emulator.")
    vendors: dict[str, list[str]] = Field(description="Path prefixes of the vendors' APIs, by vendor.")
    credentials: dict[str, list[str]] = Field(
        description="Names of the parts of a credential, by vendor, such as `api_key` and `api_secret`."
    )
    capabilities: list[str] = Field(
        description="Parts of the control API that this server has: the tags of its OpenAPI document."
    )
    runs: dict[str, str] = Field(
        description="How and where the emulator keeps its database (`records`), its files (`blobs`) and its "
        "`queue` of tasks."
    )
    journal: JournalState | None = Field(description="The journal; null if it is off.")
    tls: Tls | None = Field(default=None, description="The TLS listener; null if TLS is off.")


class Readiness(BaseModel):
    """Readiness of the emulator."""

    ready: bool = Field(description="Whether the init scripts have run and the face core is loaded.")
    face_core_warm: bool = Field(
        description="Whether all workers are alive and have loaded the face core: the code and the models "
        "for faces."
    )
    hooks_run: bool = Field(description="Whether all init scripts have run; true if there are none.")
    reason: str | None = Field(
        default=None, description="Why the emulator is not ready, as a sentence; null if it is ready."
    )


class Progress:
    """Progress of the startup. The code that starts the server updates this object."""

    def __init__(self, *, hooks_run: bool) -> None:
        self.hooks_run = hooks_run
        self.tls: Tls | None = None


class Reset(BaseModel):
    """The credential to reset."""

    model_config = ConfigDict(extra="forbid")

    credential: CredentialText | None = Field(
        default=None, description="Credential to reset; omit it to reset everything."
    )


def world_router(
    world: World,
    vendors: Sequence[Vendor],
    version: str,
    progress: Progress,
    runs: dict[str, str],
    routers: Sequence[APIRouter],
) -> APIRouter:
    """Return the routes for the whole emulator; ``routers`` are the other routers of the control API."""
    router = APIRouter(tags=["world"])

    @router.get("/health")
    async def health() -> Health:
        """Check that the server is running.

        The server answers this request even before the emulator is ready.
        """
        journal = world.journal
        return Health(
            status="ok",
            version=version,
            vendors={vendor.name: list(vendor.prefixes) for vendor in vendors},
            credentials={vendor.name: list(vendor.credential) for vendor in vendors},
            capabilities=sorted({"world", *(str(tag) for each in routers for tag in each.tags)}),
            runs=runs,
            journal=JournalState(last=journal.last, last_dropped=journal.last_dropped)
            if journal.is_on
            else None,
            tls=progress.tls,
        )

    @router.get("/ready", responses={503: {"model": Readiness}})
    async def ready(response: Response) -> Readiness:
        """Check that the emulator is ready.

        The status is 503 until the init scripts have run and the face core is loaded. Then it is 200. The
        face core is the code and the models that find and measure faces. The status is also 503 while a
        worker process that died is being replaced. Calls are answered meanwhile, but perhaps more slowly.
        """
        cold = world.queue.why_not_warm
        hooks_run = progress.hooks_run
        found = Readiness(
            ready=cold is None and hooks_run,
            face_core_warm=cold is None,
            hooks_run=hooks_run,
            reason=cold or (None if hooks_run else "The init scripts have not yet run."),
        )
        response.status_code = 200 if found.ready else 503
        return found

    @router.get(
        "/certificates/{file}",
        response_class=FileResponse,
        responses={404: {"description": "TLS is off."}},
    )
    async def certificate_file(
        file: Annotated[CertificateFile, PathParameter(description="Name of the file.")],
    ) -> FileResponse:
        """Return certificates that clients must trust.

        Clients on other machines need these certificates to call the vendors' own host names over TLS.
        `ca.pem` has the emulator's own root certificate. The other files also have the public root
        certificates: `bundle.pem` in PEM, and `truststore.p12` for Java with the password `changeit`.
        """
        if progress.tls is None:
            raise HTTPException(404, "TLS is off; start the emulator with `serve --tls`")
        return FileResponse(Path(progress.tls.folder) / file)

    @router.post("/reset", status_code=204)
    async def reset_state(body: Reset | None = None) -> None:
        """Reset a credential or the whole emulator.

        A reset deletes files, tasks, units (a vendor's currency, such as credits), fault rules, endpoints of
        webhooks, deliveries, costs and recorded calls. It sets the clock, the progression of tasks, the
        lifetimes, the plan of webhooks and the state of the credential to their defaults. The counters of ids
        restart, so that the same calls get the same responses again.
        """
        await world.reset(None if body is None else body.credential)

    return router
