"""The operation that issues tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from emulator.vendors.metahuman.application import warn_of_dropped
from emulator.vendors.metahuman.errors import SHARED
from emulator.vendors.metahuman.wire import REFUSED_FORM, Body
from emulator.web.call import CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.credentials import CredentialState
from emulator.world.operation import MULTIPART, URLENCODED, Example, Operation


class TokenFields(BaseModel):
    """The fields of a request."""

    mail: Annotated[str, Field(min_length=1)] = Field(
        description="E-mail address of the applicant. The emulator does not check its syntax."
    )
    name: str = Field(default="", description="Name of the applicant.")
    comment: str = Field(default="", description="Comment of the applicant.")


class Token(Body):
    """A token."""

    token: Annotated[str, Field(json_schema_extra={"format": "uuid"})] = Field(
        description="Token to send with each request, a version 4 UUID."
    )


class TokenResult(Body):
    """The response with a new token."""

    result: Token = Field(description="The issued token.")


async def token(
    request: Request, call: CallDep, world: WorldDep, fields: Annotated[TokenFields, Form()]
) -> Response:
    """Get a token for an e-mail address."""
    await call.identify(None)
    warn_of_dropped(await request.form(), TokenFields.model_fields, call)
    applicant = f"{fields.name}\n{fields.mail}\n{fields.comment}"
    issued = str(await world.ids.draw_uuid4(applicant, "metahuman/token"))
    await world.credentials.put(issued, CredentialState.VALID)
    return JSONResponse(TokenResult(result=Token(token=issued)).model_dump())


TOKEN = Operation(
    name="token",
    methods=("POST",),
    paths=("/auth/token",),
    endpoint=token,
    errors=SHARED,
    request=TokenFields,
    request_types=(MULTIPART, URLENCODED),
    response=TokenResult,
    other_answers=REFUSED_FORM,
    is_open=True,
    example=Example(form={"mail": "me@example.com"}),
)

api = Api("Authorization", (TOKEN,))
