"""Face++ keys: ``api_key`` and ``api_secret``, sent as fields."""

from __future__ import annotations

from emulator.vendors.faceplusplus.errors import ERRORS
from emulator.vendors.faceplusplus.wire import Fields
from emulator.web.call import Call
from emulator.web.credentials import CredentialRefused, Credentials


async def authenticate(fields: Fields, call: Call, credentials: Credentials) -> str:
    """Return the ``api_key`` of the request.

    Raises
    ------
    VendorError
        If the key or the secret is missing, or they are not good.
    """
    api_key, api_secret = fields.text("api_key"), fields.text("api_secret")
    if not api_key:
        raise ERRORS["MISSING_CREDENTIAL"].occur(param="api_key")
    if not api_secret:
        raise ERRORS["MISSING_CREDENTIAL"].occur(param="api_secret")
    await call.identify(api_key)
    try:
        await credentials.check(f"{api_key}:{api_secret}", api_key)
    except CredentialRefused as error:
        raise ERRORS.for_cause(error).occur() from error
    return api_key
