"""Health and readiness, credentials, the vendors' OpenAPI, and what is answered where nobody is at home."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, Field

from emulator.control.costs import costs_router
from emulator.control.journal import journal_router
from emulator.web.credentials import CredentialState
from emulator.web.services import Services
from emulator.web.vendor import Vendor


class Health(BaseModel):
    """That the server is alive, and what it serves."""

    status: str = Field(description="Always `ok`.")
    version: str
    vendors: dict[str, list[str]] = Field(description="Path prefixes by vendor.")


class Readiness(BaseModel):
    """Whether pictures can be computed without waiting for the face core."""

    ready: bool


def _encodable(text: str) -> str:
    """Return ``text``, unless it has half a surrogate pair, which JSON can say and no encoding can."""
    text.encode()
    return text


class ListedCredential(BaseModel):
    """A credential, and what it is."""

    credential: Annotated[str, Field(min_length=1), AfterValidator(_encodable)]
    state: CredentialState


class ErrorDescription(BaseModel):
    """An error of a vendor's catalogue."""

    vendor: str
    name: str
    status: int
    text: str
    when: str
    mark: str
    source: str


def control_router(services: Services, vendors: Sequence[Vendor], version: str) -> APIRouter:
    """Return the routes below ``/_emulator``."""
    router = APIRouter(prefix="/_emulator", tags=["control"])
    by_name = {vendor.name: vendor for vendor in vendors}

    @router.get("/health")
    async def health() -> Health:
        """Answer as soon as the server listens."""
        prefixes = {vendor.name: list(vendor.prefixes) for vendor in vendors}
        return Health(status="ok", version=version, vendors=prefixes)

    @router.get("/ready", responses={503: {"model": Readiness}})
    async def ready(response: Response) -> Readiness:
        """Answer 200 once the face core is warm, 503 before."""
        response.status_code = 200 if services.queue.is_warm else 503
        return Readiness(ready=services.queue.is_warm)

    @router.get("/credentials")
    async def list_credentials() -> list[ListedCredential]:
        """List the credentials that somebody has listed, with what they are."""
        listed = await services.credentials.list()
        return [ListedCredential(credential=key, state=state) for key, state in listed.items()]

    @router.put("/credentials")
    async def put_credential(listed: ListedCredential) -> ListedCredential:
        """List a credential, or change what it is."""
        await services.credentials.put(listed.credential, listed.state)
        return listed

    @router.delete("/credentials/{credential:path}", status_code=204)
    async def remove_credential(credential: str) -> None:
        """Take back what was listed here."""
        if not await services.credentials.remove(credential):
            raise HTTPException(404, f"{credential} was not listed here")

    @router.get("/errors")
    async def list_errors() -> list[ErrorDescription]:
        """List every error of every vendor."""
        return [
            ErrorDescription(
                vendor=vendor.name,
                name=entry.name,
                status=entry.status,
                text=entry.text,
                when=entry.when,
                mark=entry.mark,
                source=entry.source,
            )
            for vendor in vendors
            for entry in vendor.errors
        ]

    @router.get("/openapi/{name}.json")
    async def vendor_openapi(name: str) -> dict[str, Any]:
        """Describe a vendor's API as it is emulated."""
        if name not in by_name:
            raise HTTPException(404, f"there is no vendor {name}; there are {', '.join(by_name)}")
        return by_name[name].openapi()

    # Beside and not below the prefix, which each of them says by itself.
    whole = APIRouter()
    whole.include_router(router)
    whole.include_router(journal_router(services, version))
    whole.include_router(costs_router(services))
    return whole


def answer_unknown_path(request: Request, vendors: Sequence[Vendor]) -> JSONResponse:
    """Return a 404 that says which paths there are."""
    return JSONResponse(
        {
            "error": f"nothing is served at {request.url.path}",
            "vendors": {vendor.name: list(vendor.prefixes) for vendor in vendors},
            "control": "/_emulator/openapi.json",
        },
        status_code=404,
    )
