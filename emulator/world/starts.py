"""``Starts``, which lets only one of several servers perform an action, such as running the init hooks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from emulator.backends.records import Records
from emulator.backends.replicas import Replicas
from emulator.backends.stateful import Check, Stateful, strictly
from emulator.backends.unavailable import StoreUnavailable
from emulator.clock import ALL_CREDENTIALS
from emulator.deferral import DeferredAdapter

KIND = "start"

LOOK_SECONDS: Final = 0.1
"""Real seconds between two checks whether another process has performed an action."""


class _Start(BaseModel):
    """The stored progress of an action. ``owner`` is the replica that performs it, or has performed it."""

    model_config = ConfigDict(extra="forbid")

    owner: str
    is_done: bool


_START = DeferredAdapter(_Start)


class Starts(Stateful):
    """The actions that only one of the processes performs, after a start or a reset.

    Parameters
    ----------
    records, replicas
        The database, and the processes that use it.
    """

    def __init__(self, records: Records, replicas: Replicas) -> None:
        self._records = records
        self._replicas = replicas

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored actions."""
        return {KIND: lambda document: strictly(_START, document)}

    @contextlib.asynccontextmanager
    async def once(self, action: str) -> AsyncIterator[bool]:
        """Yield whether this process must perform ``action`` in the context.

        If another process performs the action, wait until it is done, and yield False. If the context exits
        with an exception, or if the process that performs the action dies, another process or the next start
        performs it.

        If only one process can use the database, this process performs the action at every start.
        """
        if not self._records.is_shared:
            yield True
            return
        if not await self._take(action):
            yield False
            return
        try:
            yield True
        except BaseException:
            with contextlib.suppress(StoreUnavailable):
                await self._records.delete(KIND, action)
            raise
        await self._records.put(KIND, action, ALL_CREDENTIALS, self._document(is_done=True))

    async def _take(self, action: str) -> bool:
        """Return True if this process must perform an action, or False when another process has done it."""
        mine = self._document(is_done=False)
        while True:
            await self._records.catch_up()
            found = await self._records.get(KIND, action)
            if found is None:
                with contextlib.suppress(KeyError):  # another process was faster
                    await self._records.create(KIND, action, ALL_CREDENTIALS, mine)
                    return True
            elif found.document["is_done"]:
                return False
            elif found.document["owner"] in await self._replicas.living():
                await asyncio.sleep(LOOK_SECONDS)
            elif await self._records.replace(KIND, found, mine):
                return True

    def _document(self, *, is_done: bool) -> dict[str, Any]:
        return {"owner": self._replicas.me, "is_done": is_done}
