"""``Retention``, which deletes old state while the server runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from emulator.backends.unavailable import StoreUnavailable
from emulator.clock import Setting
from emulator.world.world import World

logger = logging.getLogger(__name__)

SECONDS_A_DAY: Final = 86400

CHECK_SECONDS: Final = 60.0
"""Real seconds between two checks whether a clock was changed.

The pause also gives a test that moves a clock time to read the state that is now too old.
"""

CHECKS_A_PURGE: Final = 60
"""Number of checks after which old state is deleted although no clock was changed."""


class Retention:
    """Deletes finished tasks, pictures, deliveries and recorded calls that are too old.

    Parameters
    ----------
    world : World
        The state.
    days : float or None
        Age from which state is deleted, by the clock of its credential. None to keep everything.
    """

    def __init__(self, world: World, days: float | None) -> None:
        self._world = world
        self._days = days
        self._clocks: dict[str, Setting] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start deleting old state in the background."""
        if self._days is not None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop deleting old state."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def purge(self) -> None:
        """Delete all state that is too old, and free its disk space."""
        if self._days is None:
            return
        age_s = self._days * SECONDS_A_DAY
        clock = self._world.clock
        for each in self._world.stateful:
            await each.purge(lambda credential: clock.now(credential) - age_s)
        await self._world.records.compact()

    async def _run(self) -> None:
        checks = 0
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            clocks = self._world.clock.settings()
            checks += 1
            if clocks == self._clocks and checks < CHECKS_A_PURGE:
                continue
            try:
                await self.purge()
            except StoreUnavailable as error:
                logger.warning("old state was not deleted, because %s", error)
            except Exception:
                logger.exception("old state could not be deleted")
            else:
                self._clocks, checks = clocks, 0
