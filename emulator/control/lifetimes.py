"""How long a vendor's things live, for a credential."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter

from emulator.control.dependencies import CredentialDep
from emulator.world.lifetimes import Lifetime
from emulator.world.text import Text
from emulator.world.world import World

LifetimesByVendor = Mapping[Text, Mapping[Text, Lifetime]]
"""By vendor, and by the name of the vendor's setting."""


def lifetimes_router(world: World) -> APIRouter:
    """Return the routes of lifetimes."""
    router = APIRouter(prefix="/lifetimes", tags=["lifetimes"])
    lifetimes = world.lifetimes

    @router.get("")
    async def read_lifetimes(credential: CredentialDep) -> LifetimesByVendor:
        """Tell how long things live: expiry of URLs, retention, timeouts, by the vendors' settings' names."""
        return lifetimes.read(credential)

    @router.put("")
    async def set_lifetimes(credential: CredentialDep, body: LifetimesByVendor) -> LifetimesByVendor:
        """Set how long things live; what is not named stays as it is.

        What is there already lives by it too, but for what carries its end with it: URLs and units.
        """
        await lifetimes.put(credential, body)
        return lifetimes.read(credential)

    @router.delete("")
    async def reset_lifetimes(credential: CredentialDep) -> LifetimesByVendor:
        """Go back to everybody's lifetimes; without a credential, to the settings'."""
        await lifetimes.forget(credential)
        return lifetimes.read(credential)

    return router
