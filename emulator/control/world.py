"""Routes for the whole emulator: certificates and reset."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from emulator.control.dependencies import CredentialText
from emulator.control.status import Progress
from emulator.world.world import World


class CertificateFile(StrEnum):
    """A file with certificates."""

    CA = "ca.pem"
    BUNDLE = "bundle.pem"
    TRUST_STORE = "truststore.p12"


class Reset(BaseModel):
    """The credential to reset."""

    model_config = ConfigDict(extra="forbid")

    credential: CredentialText | None = Field(
        default=None, description="Credential to reset; omit it to reset everything."
    )


def world_router(world: World, progress: Progress) -> APIRouter:
    """Return the routes for the whole emulator."""
    router = APIRouter(tags=["world"])

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

        A reset deletes files, tasks, units (a vendor's currency, such as credits), fault rules, webhook
        endpoints, deliveries, plans, costs and recorded calls. It sets the clock, the progression of tasks,
        the lifetimes and the states of credentials to their defaults. The counters for ids start again, so
        that the same calls get the same responses as before.
        """
        await world.reset(None if body is None else body.credential)

    return router
