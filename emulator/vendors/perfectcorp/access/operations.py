"""The operation that gives a legacy client an access token for its key."""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import Any

from fastapi import Request, Response
from pydantic import ValidationError

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
"""What RSA with a key of 1024 bits makes of anything."""


class _Caller(RequestBody):
    """The part of the body that names the caller."""

    client_id: Text


class LegacyClient(_Caller):
    """The body with which a legacy client asks for an access token."""

    id_token: Text


class AccessToken(Member):
    """A token that stands for a key."""

    access_token: str


async def legacy_token(request: Request, call: CallDep, world: WorldDep) -> Response:
    """Get an access token for a key.

    Legacy clients send it in place of the key.
    """
    call.warn("deprecated-path", "the API key itself is good for every call")
    document = await read_document(request)
    # Before the rest is validated: a call that lacks a part is its caller's too.
    caller = _caller_in(document)
    if caller is not None:
        await call.identify(caller)
        call.warn_of_parameters()
    body = validated(request, document, LegacyClient)
    token = await _issue(body.client_id, body.id_token, world)
    return render(Result[AccessToken](result=AccessToken(access_token=token)))


def _caller_in(document: Any) -> str | None:
    """Return the key that a body names, or None."""
    try:
        return _Caller.model_validate(document).client_id
    except ValidationError:
        return None


async def _issue(client_id: str, id_token: str, world: World) -> str:
    """Return an access token for a key, as legacy clients use.

    The real service decrypts ``id_token`` with the private half of the client's secret, which is
    the vendor's alone. Here it only has to look like RSA's work.

    Raises
    ------
    VendorError
        If it does not, or the key is not good.
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
        await world.records.create(ACCESS_TOKEN, token, client_id, {})
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
