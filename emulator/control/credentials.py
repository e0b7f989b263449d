"""Credentials: list them, and say what each is."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel

from emulator.control.dependencies import CredentialText
from emulator.world.credentials import CredentialState
from emulator.world.world import World


class ListedCredential(BaseModel):
    """A credential, and what it is."""

    credential: CredentialText
    state: CredentialState


def credentials_router(world: World) -> APIRouter:
    """Return the routes of the credentials."""
    router = APIRouter(tags=["credentials"])

    @router.get("/credentials")
    async def list_credentials() -> list[ListedCredential]:
        """List the credentials that somebody has listed, with what they are."""
        listed = await world.credentials.list()
        return [ListedCredential(credential=key, state=state) for key, state in listed.items()]

    @router.put("/credentials")
    async def put_credential(listed: ListedCredential) -> ListedCredential:
        """List a credential, or change what it is."""
        await world.credentials.put(listed.credential, listed.state)
        return listed

    @router.delete("/credentials/{credential:path}", status_code=204)
    async def remove_credential(credential: str) -> None:
        """Take back what was listed here."""
        if not await world.credentials.remove(credential):
            raise HTTPException(404, f"{credential} was not listed here")

    return router
