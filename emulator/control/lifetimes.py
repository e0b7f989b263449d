"""Routes for lifetimes: how long URLs, files, tasks and the like last."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter

from emulator.control.dependencies import CredentialDep
from emulator.world.lifetimes import Lifetime
from emulator.world.text import Text
from emulator.world.world import World

LifetimesByVendor = Mapping[Text, Mapping[Text, Lifetime]]
"""Lifetimes by vendor and by name of the lifetime."""


def lifetimes_router(world: World) -> APIRouter:
    """Return the routes for lifetimes."""
    router = APIRouter(prefix="/lifetimes", tags=["lifetimes"])
    lifetimes = world.lifetimes

    @router.get("")
    async def read_lifetimes(credential: CredentialDep) -> LifetimesByVendor:
        """Return all lifetimes, by vendor and name.

        A lifetime says how long something lasts, such as a URL, a file, a task or a timeout. Its name ends
        with the unit of time, as in `url_seconds`. Its default comes from the vendor's setting of the same
        name. Null means no limit.
        """
        return lifetimes.read(credential)

    @router.put("")
    async def set_lifetimes(credential: CredentialDep, body: LifetimesByVendor) -> LifetimesByVendor:
        """Set lifetimes, and return all of them.

        Omitted lifetimes stay as they are. A new lifetime also applies to existing files and tasks. Existing
        URLs and units (a vendor's currency, such as credits) keep their expiry.
        """
        await lifetimes.put(credential, body)
        return lifetimes.read(credential)

    @router.delete("")
    async def reset_lifetimes(credential: CredentialDep) -> LifetimesByVendor:
        """Reset the lifetimes.

        With `credential`, that credential follows the default lifetimes again. Without it, the default
        lifetimes follow the settings again.
        """
        await lifetimes.forget(credential)
        return lifetimes.read(credential)

    return router
