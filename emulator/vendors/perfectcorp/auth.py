"""Perfect Corp keys: a bearer token, or an access token that a legacy client got for its key."""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import Annotated

from fastapi import Depends, Request

from emulator.vendors.perfectcorp.errors import ERRORS
from emulator.web.call import Call, CallDep
from emulator.web.credentials import (
    CredentialOutOfBalance,
    CredentialRefused,
    Credentials,
)
from emulator.web.services import Services, ServicesDep

ACCESS_TOKEN = "perfectcorp/access-token"  # noqa: S105 - a kind of record

RSA_BLOCK_BYTES = 128
"""What RSA with a key of 1024 bits makes of anything."""


async def key_of(authorization: str | None, services: Services) -> str:
    """Return the API key that an ``Authorization`` header names, good or not; "" if it names none."""
    scheme, _, bearer = (authorization or "").partition(" ")
    bearer = bearer.strip() if scheme.lower() == "bearer" else ""
    token = await services.records.get(ACCESS_TOKEN, bearer) if bearer else None
    return bearer if token is None else token.scope


async def authenticate(authorization: str | None, call: Call, services: Services) -> str:
    """Return the API key of an ``Authorization`` header, which ``call`` is told.

    A key whose balance is gone is still good: only what costs units is refused.

    Raises
    ------
    VendorError
        If there is none, or it is not good.
    """
    api_key = await key_of(authorization, services)
    await call.identify(api_key or None)
    try:
        await services.credentials.check(api_key)
    except CredentialOutOfBalance:
        pass
    except CredentialRefused as error:
        raise ERRORS.for_cause(error).occur() from error
    return api_key


async def check_balance(api_key: str, credentials: Credentials) -> None:
    """Raise if the key is listed as out of balance.

    Raises
    ------
    VendorError
        If it is.
    """
    try:
        await credentials.check(api_key)
    except CredentialOutOfBalance as error:
        raise ERRORS.for_cause(error).occur() from error


async def issue_access_token(client_id: str, id_token: str, call: Call, services: Services) -> str:
    """Return an access token for a key, as legacy clients use.

    The real service decrypts ``id_token`` with the private half of the client's secret, which is
    the vendor's alone. Here it only has to look like RSA's work.

    Raises
    ------
    VendorError
        If it does not, or the key is not good.
    """
    await call.identify(client_id)
    try:
        encrypted = base64.b64decode(id_token, validate=True)
        with contextlib.suppress(CredentialOutOfBalance):
            await services.credentials.check(client_id)
    except (binascii.Error, ValueError, CredentialRefused) as error:
        raise ERRORS["InvalidAuthentication"].occur() from error
    if len(encrypted) != RSA_BLOCK_BYTES:
        raise ERRORS["InvalidAuthentication"].occur()
    async with services.creations.of(client_id):
        token = base64.urlsafe_b64encode(await services.ids.draw(client_id, ACCESS_TOKEN, 48)).decode()
        await services.records.create(ACCESS_TOKEN, token, client_id, {})
    return token


async def _owner_of(request: Request, call: CallDep, services: ServicesDep) -> str:
    return await authenticate(request.headers.get("authorization"), call, services)


OwnerDep = Annotated[str, Depends(_owner_of)]
"""The API key of the request; without a good one the route is not reached."""
