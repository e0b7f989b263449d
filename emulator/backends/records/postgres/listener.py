"""``Listener``, the connection on which a process receives notifications of changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import psycopg
from psycopg import AsyncConnection, Notify

from emulator.backends.records.postgres.address import ANSWER_SECONDS, time_limit
from emulator.backends.records.postgres.connections import CLOSED, Connections
from emulator.backends.records.postgres.failures import reason_of
from emulator.backends.records.postgres.notices import Notices
from emulator.backends.unavailable import StoreUnavailable

logger = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.01
"""Time to collect further notifications before listeners are called, unless a call waits for them."""

BEAT_SECONDS: Final = 1.0
"""Time between two queries that check the connection. Without an answer, all connections are closed."""

FIRST_PAUSE_SECONDS: Final = 0.2
LAST_PAUSE_SECONDS: Final = 2.0
"""First and longest pause between attempts to reconnect."""


class Listener:
    """Receives notifications of the changes of all processes, and reconnects after a lost connection.

    PostgreSQL sends the notifications of a committed transaction to a listening connection before the result
    of the next query on this connection, or earlier. So when a query returns, the notifications of all
    changes that were committed before the query have arrived.

    Parameters
    ----------
    connect : callable
        Returns a new connection that receives notifications. Raises errors of the driver, or StoreUnreadable.
    connections : Connections
        The other connections. They are closed when this one is lost, and allowed again after a reconnect.
    place : str
        Description of the database, for messages.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[AsyncConnection]], connections: Connections, place: str
    ) -> None:
        self._connect = connect
        self._connections = connections
        self._place = place
        self.notices = Notices()
        self._connection: AsyncConnection | None = None
        self._lost: str | None = CLOSED
        self._waiting: list[asyncio.Future[None]] = []
        self._woken: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and begin to listen."""
        self._use(await self._connect())
        self._connections.open()
        self._lost = None
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop listening, and close the connection."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._fail(CLOSED)
        await self._leave()

    async def catch_up(self) -> None:
        """Wait until listeners were called for all changes that were committed before this call.

        Concurrent calls share a query, which starts after the calls.
        """
        if self._lost is not None:
            raise StoreUnavailable(self._lost, self._place)
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wake()
        await future

    @property
    def _opened(self) -> AsyncConnection:
        if self._connection is None:
            raise psycopg.OperationalError("there is no connection")
        return self._connection

    def _use(self, connection: AsyncConnection) -> None:
        connection.add_notify_handler(self._note)
        self._connection = connection

    def _note(self, notify: Notify) -> None:
        self.notices.add(notify.payload)

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def _fail(self, reason: str) -> None:
        """Refuse new calls, and fail the calls that wait."""
        self._lost = reason
        waiting, self._waiting = self._waiting, []
        _answer(waiting, StoreUnavailable(reason, self._place))

    async def _run(self) -> None:
        while True:
            try:
                await self._serve()
            except Exception as error:  # noqa: BLE001 - reconnect after any error
                await self._lose(error)
            await self._come_back()

    async def _serve(self) -> None:
        """Query the database and deliver notifications, until the connection is lost."""
        connection = self._opened
        while True:
            asks = bool(self._waiting) or not await self._idle(connection)
            waiting, self._waiting = self._waiting, []
            failure = None
            try:
                if asks or waiting:
                    await _ask(connection)
                if self.notices:
                    await self._deliver()
            except StoreUnavailable as error:
                failure = error
            except BaseException:
                self._waiting = waiting + self._waiting
                raise
            _answer(waiting, failure)
            if failure is not None and not self._waiting:
                await self._pause(FIRST_PAUSE_SECONDS)

    async def _idle(self, connection: AsyncConnection) -> bool:
        """Wait for a notification, a call or the next check. Return whether only notifications arrived."""
        _read(connection, self._note)
        if self.notices:
            return True
        loop = asyncio.get_running_loop()
        self._woken = loop.create_future()
        # The driver also adds a reader for this file to the loop, but not at the same time.
        file = connection.fileno()
        loop.add_reader(file, self._wake)
        beat = loop.call_later(BEAT_SECONDS, self._wake)
        try:
            await self._woken
        finally:
            beat.cancel()
            loop.remove_reader(file)
            self._woken = None
        if not self._waiting:
            # Collect more notifications, because delivering many takes hardly longer than delivering one.
            await self._pause(GATHER_SECONDS)
        _read(connection, self._note)
        return not self._waiting and bool(self.notices)

    async def _pause(self, seconds: float) -> None:
        """Wait for ``seconds``, or until a call arrives."""
        loop = asyncio.get_running_loop()
        self._woken = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._woken
        finally:
            timer.cancel()
            self._woken = None

    async def _deliver(self) -> None:
        """Call the listeners. While they run, check that the database still answers."""
        delivery = asyncio.create_task(self.notices.deliver())
        try:
            while not (await asyncio.wait({delivery}, timeout=BEAT_SECONDS))[0]:
                await _ask(self._opened)
        except BaseException as error:
            # Closing the connections ends the queries that the listeners wait for.
            await self._connections.lose(reason_of(error))
            delivery.cancel()
            await asyncio.wait({delivery})
            raise
        await delivery

    async def _lose(self, error: BaseException) -> None:
        reason = reason_of(error)
        logger.warning("the connection to %s is lost: %s", self._place, reason)
        self._fail(reason)
        await self._connections.lose(reason)
        await self._leave()

    async def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _come_back(self) -> None:
        """Reconnect, and let the listeners read everything again."""
        pause = FIRST_PAUSE_SECONDS
        while not await self._try_to_come_back():
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LAST_PAUSE_SECONDS)
        logger.warning("%s can be used again", self._place)

    async def _try_to_come_back(self) -> bool:
        try:
            self._use(await self._connect())
            self._connections.resume()
            self.notices.add_anything()
            await self._deliver()
        except Exception as error:  # noqa: BLE001 - try again after any error
            reason = reason_of(error)
            self._fail(reason)
            await self._connections.lose(reason)
            await self._leave()
            return False
        self._lost = None
        return True


async def _ask(connection: AsyncConnection) -> None:
    """Send a query, and wait for its answer. Notifications come before the answer."""
    with time_limit(connection, ANSWER_SECONDS):
        await connection.execute("SELECT 1")


def _read(connection: AsyncConnection, note: Callable[[Notify], None]) -> None:
    """Read the notifications that have arrived, without waiting."""
    pgconn = connection.pgconn
    pgconn.consume_input()
    while (notify := pgconn.notifies()) is not None:
        note(Notify(notify.relname.decode(), notify.extra.decode(), notify.be_pid))


def _answer(waiting: list[asyncio.Future[None]], failure: Exception | None) -> None:
    for future in waiting:
        if future.done():
            continue  # the caller was cancelled
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
