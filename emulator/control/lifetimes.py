"""How long a vendor's things live, for a credential."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter

from emulator.control.scope import ScopeDep
from emulator.web.lifetimes import Lifetime
from emulator.web.services import Services
from emulator.web.text import Text

LifetimesByVendor = Mapping[Text, Mapping[Text, Lifetime]]
"""By vendor, and by the name of the vendor's setting."""


def lifetimes_router(services: Services) -> APIRouter:
    """Return the routes of lifetimes."""
    router = APIRouter(prefix="/lifetimes", tags=["lifetimes"])
    lifetimes = services.lifetimes

    @router.get("")
    async def read_lifetimes(scope: ScopeDep) -> LifetimesByVendor:
        """Tell how long things live: expiry of URLs, retention, timeouts, by the vendors' settings' names."""
        return lifetimes.read(scope)

    @router.put("")
    async def set_lifetimes(scope: ScopeDep, body: LifetimesByVendor) -> LifetimesByVendor:
        """Set how long things live; what is not named stays as it is.

        What is there already lives by it too, but for what carries its end with it: URLs and units.
        """
        await lifetimes.put(scope, body)
        return lifetimes.read(scope)

    @router.delete("")
    async def reset_lifetimes(scope: ScopeDep) -> LifetimesByVendor:
        """Go back to everybody's lifetimes; without a credential, to the settings'."""
        await lifetimes.remove(scope)
        return lifetimes.read(scope)

    return router
