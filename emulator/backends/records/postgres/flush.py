"""``Flush``, which lets the database store commits on its disk, those of concurrent calls together."""

from __future__ import annotations

import asyncio
from typing import Final

from psycopg import AsyncConnection

from emulator.backends.records.postgres.connections import Connections
from emulator.backends.unavailable import StoreUnavailable

# The commit of this transaction waits, as the administrator wants it, until all that was written before is
# stored. Without a message, there would be nothing to commit.
_FLUSH: Final = (
    "SELECT set_config('synchronous_commit', current_setting('face_emulator.synchronous_commit'), true), "
    "pg_logical_emit_message(true, 'face_emulator', '')"
)


class Flush:
    """Waits until what this process has committed is on the database's disk.

    PostgreSQL commits transactions that notify one after another, and transactions that change the same row
    as well. If each of them waited for the disk, all processes together could make some hundred changes per
    second. So commits do not wait (``synchronous_commit`` is off), and calls wait for the disk afterwards,
    many for one write of it.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when everything that was committed before this call is on the disk.

        Raises
        ------
        StoreUnavailable
            If the database cannot be used now. What was committed may be lost.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await future

    async def close(self) -> None:
        """Wait for the calls that wait."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            failure = None
            try:
                await self._connections.run(_flush, reads=True)
            except StoreUnavailable as error:
                failure = error
            for future in waiting:
                if future.done():
                    continue  # the caller was cancelled
                if failure is None:
                    future.set_result(None)
                else:
                    future.set_exception(failure)
        self._task = None


async def _flush(connection: AsyncConnection) -> None:
    await connection.execute(_FLUSH)
