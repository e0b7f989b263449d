"""MetaHuman SDK tokens: a body field of every call."""

from __future__ import annotations

from emulator.vendors.metahuman.errors import ERRORS
from emulator.web.call import Call
from emulator.web.credentials import CredentialRefused, Credentials


async def authenticate(token: str, call: Call, credentials: Credentials) -> str:
    """Return the token.

    Raises
    ------
    VendorError
        If it is not registered, or its access is limited.
    """
    await call.identify(token)
    try:
        await credentials.check(token)
    except CredentialRefused as error:
        raise ERRORS.for_cause(error).occur() from error
    return token
