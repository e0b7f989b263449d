"""Routes for credentials and their states."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, Field

from emulator.control.dependencies import CredentialText
from emulator.world.credentials import CredentialState
from emulator.world.world import World


class ListedCredential(BaseModel):
    """A credential and its state."""

    credential: CredentialText = Field(description="Credential in the form in which clients send it.")
    state: CredentialState = Field(description="State of the credential.")


def credentials_router(world: World) -> APIRouter:
    """Return the routes for credentials."""
    router = APIRouter(tags=["credentials"])

    @router.get("/credentials")
    async def list_credentials() -> list[ListedCredential]:
        """List all credentials with a state.

        States are set with this API, with a scenario or in the settings.
        """
        listed = await world.credentials.list()
        return [ListedCredential(credential=key, state=state) for key, state in listed.items()]

    @router.put("/credentials")
    async def put_credential(listed: ListedCredential) -> ListedCredential:
        """Set the state of a credential."""
        await world.credentials.put(listed.credential, listed.state)
        return listed

    @router.delete("/credentials/{credential:path}", status_code=204)
    async def remove_credential(
        credential: Annotated[str, Path(description="Credential with the state to remove.")],
    ) -> None:
        """Remove the state of a credential.

        A state from the settings then applies again. It cannot be removed, but it can be replaced by
        another state.
        """
        if not await world.credentials.remove(credential):
            raise HTTPException(
                404, f"{credential} has no state to remove; a state from the settings can only be replaced"
            )

    return router
