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

    credential: CredentialText = Field(description="Credential, exactly as clients send it.")
    state: CredentialState = Field(
        description="`valid`, or why calls with the credential are refused. `restricted`: it is not for this "
        "API. `other_region`: it is valid only on another host of the vendor."
    )


def credentials_router(world: World) -> APIRouter:
    """Return the routes for credentials."""
    router = APIRouter(tags=["credentials"])

    @router.get("/credentials")
    async def list_credentials() -> list[ListedCredential]:
        """List all credentials that have a state.

        A state comes from this API, from a scenario or from the settings. A credential without a state is
        refused if the setting `strict` is true. Otherwise, it is valid.
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
        credential: Annotated[str, Path(description="Credential from which to remove the state.")],
    ) -> None:
        """Remove the state of a credential.

        Only a state that was set while the emulator runs can be removed. If the settings have a state for
        the credential, that state then applies again.
        """
        if not await world.credentials.remove(credential):
            raise HTTPException(
                404, f"{credential} has no state to remove; a state from the settings can only be replaced"
            )

    return router
