"""MetaHuman SDK tokens: a body field of every call, and where they come from."""

from __future__ import annotations

from emulator.vendors.metahuman.errors import ERRORS
from emulator.web.credentials import Credentials


def authenticate(token: str, credentials: Credentials) -> str:
    """Return the token.

    Raises
    ------
    VendorError
        If it is not registered.
    """
    if not credentials.accept(token):
        raise ERRORS["UNREGISTERED_TOKEN"].occur()
    return token
