"""The operation that issues an access token for an API key."""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import Any

from fastapi import Request, Response
from pydantic import Field, ValidationError

from emulator.vendors.perfectcorp.access.errors import ACCESS
from emulator.vendors.perfectcorp.body import RequestBody, Text, read_document, validated
from emulator.vendors.perfectcorp.caller import ACCESS_TOKEN
from emulator.vendors.perfectcorp.wire import Member, Result, render
from emulator.web.call import CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.credentials import CredentialOutOfBalance, CredentialRefused
from emulator.world.operation import Example, Operation
from emulator.world.world import World

RSA_BLOCK_BYTES = 128
"""Length of an RSA ciphertext with a key of 1024 bits."""


class _Caller(RequestBody):
    """The part of the body that identifies the caller."""

    client_id: Text = Field(description="API key to get an access token for.")


class LegacyClient(_Caller):
    """The body of a request for an access token."""

    id_token: Text = Field(
        description="API key and time, encrypted: 128 bytes in base64. The emulator checks only the length."
    )


class AccessToken(Member):
    """An access token, which a client can send instead of its key."""

    access_token: str = Field(
        description="Access token. Send it in the `Authorization` header instead of the key."
    )


async def legacy_token(request: Request, call: CallDep, world: WorldDep) -> Response:
    """Get an access token for an API key."""
    call.warn("deprecated-path", "send the API key itself as the bearer token")
    document = await read_document(request)
    # Record the key before validating the body, so that the journal has the key of an invalid call too.
    caller = _caller_in(document)
    if caller is not None:
        await call.identify(caller)
        call.warn_of_parameters()
    body = validated(request, document, LegacyClient)
    token = await _issue(body.client_id, body.id_token, world)
    return render(Result[AccessToken](result=AccessToken(access_token=token)))


def _caller_in(document: Any) -> str | None:
    """Return the ``client_id`` of a JSON body, or None if it is missing or invalid."""
    try:
        return _Caller.model_validate(document).client_id
    except ValidationError:
        return None


async def _issue(client_id: str, id_token: str, world: World) -> str:
    """Return a new access token for a key.

    The real service decrypts ``id_token`` with a private key. The emulator does not have this key, and only
    checks the length of ``id_token``.

    Raises
    ------
    VendorError
        If ``id_token`` has a wrong length or is not base64, or the key is not valid.
    """
    try:
        encrypted = base64.b64decode(id_token, validate=True)
        with contextlib.suppress(CredentialOutOfBalance):
            await world.credentials.check(client_id)
    except (binascii.Error, ValueError, CredentialRefused) as error:
        raise ACCESS["InvalidAuthentication"].occur() from error
    if len(encrypted) != RSA_BLOCK_BYTES:
        raise ACCESS["InvalidAuthentication"].occur()
    async with world.creations.of(client_id):
        token = base64.urlsafe_b64encode(await world.ids.draw(client_id, ACCESS_TOKEN, 48)).decode()
        await world.records.put(ACCESS_TOKEN, token, client_id, {})
    return token


LEGACY_TOKEN = Operation(
    name="legacy_token",
    methods=("POST",),
    paths=("/s2s/v1.0/client/auth",),
    endpoint=legacy_token,
    errors=ACCESS,
    request=LegacyClient,
    response=Result[AccessToken],
    is_open=True,
    example=Example(json={"client_id": "{key}", "id_token": ""}),
)

api = Api("Access tokens", (LEGACY_TOKEN,))
