"""``Flush``, which makes commits durable. Concurrent calls share one write to the disk."""

from __future__ import annotations

import asyncio
from typing import Final

from psycopg import AsyncConnection

from emulator.backends.records.postgres.connections import Connections
from emulator.backends.unavailable import StoreUnavailable

# The commit of this transaction uses the administrator's ``synchronous_commit``, so it also waits for all
# earlier commits. The message gives the transaction something to commit.
_FLUSH: Final = (
    "SELECT set_config('synchronous_commit', current_setting('face_emulator.synchronous_commit'), true), "
    "pg_logical_emit_message(true, 'face_emulator', '')"
)


class Flush:
    """Waits until the commits of this process are on the database's disk.

    PostgreSQL commits transactions one at a time if they send notifications or change the same row. If each
    of them waited for the disk, all processes together could make only a few hundred changes per second. So
    commits do not wait (``synchronous_commit`` is off). Calls wait for the disk afterwards, and many calls
    share one write.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Wait until everything that was committed before this call is on the disk.

        Raises
        ------
        StoreUnavailable
            If the database cannot be used now. The commits may be lost.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await future

    async def close(self) -> None:
        """Wait until all calls of ``wait`` are done."""
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
