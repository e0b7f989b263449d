"""Authentication of MetaHuman SDK: the field ``token`` of the body."""

from __future__ import annotations

from emulator.web.call import Call
from emulator.world.credentials import CredentialRefused, Credentials
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue


async def authenticate(
    token: str, call: Call, credentials: Credentials, errors: ErrorCatalogue[CatalogueEntry]
) -> str:
    """Check a token, and return it. ``errors`` is the error catalogue of the called operation.

    Raises
    ------
    VendorError
        If the emulator refuses the token.
    """
    await call.identify(token)
    try:
        await credentials.check(token)
    except CredentialRefused as error:
        raise errors.for_cause(error).occur() from error
    return token
