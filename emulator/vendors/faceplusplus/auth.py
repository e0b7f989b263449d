"""Authentication of Face++: the fields ``api_key`` and ``api_secret``."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import Request

from emulator.vendors.faceplusplus.application import draw_request_id
from emulator.vendors.faceplusplus.errors import GATEWAY
from emulator.vendors.faceplusplus.fields import Fields
from emulator.web.call import Call
from emulator.world.credentials import CredentialRefused
from emulator.world.rate_limit import Caller, RateLimit
from emulator.world.world import World


async def authenticate(fields: Fields, call: Call, world: World) -> str:
    """Check the key and the secret of a request, and return the ``api_key``.

    Raises
    ------
    VendorError
        If the key or the secret is missing, or the pair is not valid.
    """
    api_key, api_secret = fields.text("api_key"), fields.text("api_secret")
    if not api_key:
        raise GATEWAY["MISSING_CREDENTIAL"].occur(param="api_key")
    await call.identify(api_key)
    if not api_secret:
        raise GATEWAY["MISSING_CREDENTIAL"].occur(param="api_secret")
    try:
        await world.credentials.check(f"{api_key}:{api_secret}", api_key)
    except CredentialRefused as error:
        raise GATEWAY.for_cause(error).occur() from error
    return api_key


async def admit(request: Request, fields: Fields, call: Call, world: World, known: Collection[str]) -> str:
    """Check the credential and the rate limit of a request, and return its ``api_key``.

    The request gets an id. Fields whose name is not in ``known`` cause warnings in the journal.

    Raises
    ------
    VendorError
        If the credential is not valid, or makes more calls per second than the setting ``qps`` allows.
    """
    api_key = await authenticate(fields, call, world)
    fields.warn(call, known)
    calls: RateLimit | None = request.app.state.calls
    if calls is not None and not await world.rate_limits.allows(calls, Caller(api_key)):
        raise GATEWAY["CONCURRENCY_LIMIT_EXCEEDED"].occur()
    request.state.request_id = await draw_request_id(world, api_key)
    return api_key
