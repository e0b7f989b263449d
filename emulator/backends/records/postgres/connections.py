"""``Connections``, the open connections of this process to the database."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import DeadlockDetected, SerializationFailure, UniqueViolation
from psycopg.pq import TransactionStatus

from emulator.backends.records.postgres.address import Address, abort
from emulator.backends.records.postgres.failures import has_too_many, reason_of
from emulator.backends.records.postgres.schema import NO_MATCH
from emulator.backends.unavailable import StoreUnavailable

MOST: Final = 6
"""Number of connections of one process. By default, PostgreSQL allows 100 connections in all."""

ATTEMPTS: Final = 20
"""Number of times to try a transaction that conflicts with others."""

FULL_SECONDS: Final = 1.0
"""Real seconds to wait before the next attempt to connect, if the database has too many connections."""

CROWDED_SECONDS: Final = 0.5
"""Longest time, in real seconds, in which refused attempts of this process can be the reason for a refusal.

PostgreSQL also counts the connections that it is about to refuse. So it can refuse all of several calls that
connect at the same time, although it allows one connection.
"""

AGAIN_SECONDS: Final = 0.02
"""Real seconds between two attempts to connect in this time."""

CLOSED: Final = "it is not open"
"""Why a closed database cannot be used."""

T = TypeVar("T")


class NoMatch(Exception):
    """A document to change was changed or deleted after it was read. Nothing was changed."""


class Connections:
    """A pool of connections. If none is free, a call opens a new one.

    Unlike the pool of psycopg, this one does not retry in the background while calls wait. A call fails at
    once if the connection cannot be opened, or if the database is known to be down.
    """

    def __init__(self, address: Address, most: int = MOST) -> None:
        self._address = address
        self._most = most
        self._slots = asyncio.Semaphore(most)
        self._free: list[AsyncConnection] = []
        self._used: set[AsyncConnection] = set()
        self._released = asyncio.Event()
        self._connecting = self._attempts = 0
        self._full_until = -math.inf
        self._lost: str | None = CLOSED

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Use a connection. Close it afterwards if it is lost, or still in a transaction."""
        self._check()
        async with self._slots:
            self._check()
            connection = await self._taken_or_new()
            self._used.add(connection)
            try:
                yield connection
            finally:
                self._used.discard(connection)
                self._wake()
                if self._lost is None and _is_idle(connection):
                    self._free.append(connection)
                else:
                    await connection.close()

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]], *, reads: bool = False) -> T:
        """Return the result of ``work`` with a connection.

        Work that the database rolled back because of a conflict with other transactions is repeated. If the
        connection is lost, work that only reads is repeated once. Other work fails, because it may have been
        committed.

        Raises
        ------
        StoreUnavailable
            If the database cannot be used now.
        UniqueViolation
            If the work inserts a row that already exists.
        NoMatch
            If the work changes a document that was changed or deleted since it was read.
        """
        attempts = 0
        while True:
            attempts += 1
            begun = False
            try:
                async with self.connection() as connection:
                    begun = True
                    return await work(connection)
            except UniqueViolation:
                raise
            except (DeadlockDetected, SerializationFailure) as error:
                if attempts == ATTEMPTS:
                    raise self._unavailable(error) from error
                await asyncio.sleep(random.uniform(0, 0.01))  # noqa: S311 - not a secret
            except (psycopg.Error, OSError) as error:
                if isinstance(error, psycopg.Error) and error.sqlstate == NO_MATCH:
                    raise NoMatch from error
                is_lost = begun and isinstance(error, psycopg.OperationalError)
                if not (reads and is_lost and attempts == 1):
                    raise self._unavailable(error) from error

    async def lose(self, reason: str) -> None:
        """Close all connections, and refuse new calls until `resume`."""
        self._lost = reason
        for connection in self._used:
            abort(connection)
        await self._close_free()

    def open(self) -> None:
        """Allow calls in the running event loop."""
        self._released = asyncio.Event()
        self._slots = asyncio.Semaphore(self._most)
        self._lost = None

    def resume(self) -> None:
        """Allow calls again."""
        self._lost = None

    async def close(self) -> None:
        """Close all connections."""
        await self.lose(CLOSED)

    def _unavailable(self, error: BaseException) -> StoreUnavailable:
        return StoreUnavailable(self._lost or reason_of(error), self._address.place)

    def _check(self) -> None:
        if self._lost is not None:
            raise StoreUnavailable(self._lost, self._address.place)

    async def _taken_or_new(self) -> AsyncConnection:
        """Return a free connection or a new one.

        If the database allows no more connections, wait until another call of this process releases one.
        """
        crowded_until: float | None = None
        while True:
            released = self._released
            connection = self._take()
            if connection is not None:
                return connection
            if not self._has_others or time.monotonic() >= self._full_until:
                self._attempts += 1
                attempt, was_first = self._attempts, not self._connecting
                try:
                    return await self._connect()
                except psycopg.OperationalError as error:
                    if not has_too_many(error):
                        raise
                    now = time.monotonic()
                    if crowded_until is None:
                        is_alone = was_first and self._attempts == attempt
                        crowded_until = now if is_alone else now + CROWDED_SECONDS
                    self._full_until = now + FULL_SECONDS
                    if not self._has_others and not self._free:
                        if now >= crowded_until:
                            raise
                        await asyncio.sleep(AGAIN_SECONDS)
                        self._check()
                    continue
            await released.wait()
            self._check()

    async def _connect(self) -> AsyncConnection:
        self._connecting += 1
        try:
            return await self._address.connect()
        except BaseException:
            self._wake()
            raise
        finally:
            self._connecting -= 1

    @property
    def _has_others(self) -> bool:
        """Whether other calls use or open connections."""
        return bool(self._used or self._connecting)

    def _wake(self) -> None:
        """Wake the calls that wait for a connection."""
        released, self._released = self._released, asyncio.Event()
        released.set()

    def _take(self) -> AsyncConnection | None:
        """Return a free connection that the database has not closed, or None."""
        while self._free:
            connection = self._free.pop()
            if _is_alive(connection):
                return connection
            connection.pgconn.finish()
        return None

    async def _close_free(self) -> None:
        free, self._free = self._free, []
        for connection in free:
            await connection.close()


def _is_idle(connection: AsyncConnection) -> bool:
    return not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE


def _is_alive(connection: AsyncConnection) -> bool:
    """Return whether the database has not closed a free connection, without waiting."""
    try:
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return _is_idle(connection)
