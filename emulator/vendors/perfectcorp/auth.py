"""Perfect Corp keys: a bearer token."""

from __future__ import annotations

from emulator.vendors.perfectcorp.errors import ERRORS
from emulator.web.credentials import Credentials


def authenticate(authorization: str | None, credentials: Credentials) -> str:
    """Return the API key of an ``Authorization`` header.

    Raises
    ------
    VendorError
        If there is none, or it is not good.
    """
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip() or not credentials.accept(key.strip()):
        raise ERRORS["InvalidApiKey"].occur()
    return key.strip()
