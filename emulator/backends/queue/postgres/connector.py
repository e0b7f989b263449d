"""The connections for Procrastinate's queries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import procrastinate.connector
from procrastinate import exceptions
from psycopg import AsyncConnection, AsyncCursor, sql
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from emulator.backends.queue.postgres.schema import SCHEMA
from emulator.backends.records.postgres.address import ANSWER_SECONDS, Address, time_limit
from emulator.backends.records.postgres.connections import Connections
from emulator.backends.records.postgres.failures import database_errors

T = TypeVar("T")

MOST: Final = 2
"""Number of connections for queries. The records use other connections, so calls never delay a heartbeat."""

BEAT_SECONDS: Final = 5.0
"""Longest time between two checks of the connection that listens for notifications."""


class QueueAddress(Address):
    """The address of the database, for connections to the queue."""

    async def connect(self) -> AsyncConnection:
        """Return a new connection whose search path contains Procrastinate's tables.

        Its commits do not wait for the disk, so they are ten times as fast. If the machine of the database
        crashes, the start or the end of a job can be lost. In this case, the job is performed again.
        """
        connection = await super().connect()
        try:
            with time_limit(connection, ANSWER_SECONDS):
                await connection.execute(f"SET search_path = {SCHEMA}; SET synchronous_commit = off")
        except BaseException:
            await connection.close()
            raise
        return connection


class Connector(procrastinate.connector.BaseAsyncConnector):
    """Runs Procrastinate's queries.

    Procrastinate's own connector waits in the background until the database is available again. This one
    raises StoreUnavailable at once, as `Records` does.
    """

    def __init__(self, address: QueueAddress) -> None:
        self._address = address
        self._connections = Connections(address, MOST)

    async def open_async(self, pool: object = None) -> None:  # noqa: ARG002 - connections are made on demand
        """Allow queries."""
        self._connections.resume()

    async def execute_query_async(self, query: str, **arguments: Any) -> None:
        """Run a query."""
        await self.execute_query_all_async(query, **arguments)

    async def execute_query_one_async(self, query: str, **arguments: Any) -> dict[str, Any]:
        """Run a query, and return its first row."""
        rows = await self.execute_query_all_async(query, **arguments)
        if not rows:
            raise exceptions.NoResult
        return rows[0]

    async def execute_query_all_async(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """Run a query, and return its rows."""
        return await self.run(lambda connection: run(connection, query, **arguments))

    async def execute_query_all_async_with_connection(
        self, connection: AsyncConnection, query: str, **arguments: Any
    ) -> list[dict[str, Any]]:
        """Run a query on a connection, and return its rows. The connection may be in pipeline mode."""
        async with await _begun(connection, query, arguments) as cursor:
            return await cursor.fetchall()

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Call ``work`` with a connection, and return its result.

        Raises
        ------
        StoreUnavailable
            If the database cannot be used now, or does not answer in time.
        procrastinate.exceptions.UniqueViolation
            If ``work`` violates a unique constraint.
        """

        async def limited(connection: AsyncConnection) -> T:
            with time_limit(connection, ANSWER_SECONDS):
                return await work(connection)

        try:
            return await self._connections.run(limited)
        except UniqueViolation as error:
            raise exceptions.UniqueViolation(
                constraint_name=error.diag.constraint_name, queueing_lock=None
            ) from error

    async def listen(self, channels: Iterable[str], wake: Callable[[str | None], None]) -> None:
        """Call ``wake`` with the channel of each notification, until the connection is lost.

        When the connection begins to listen, ``wake`` is called with None, because earlier notifications may
        have been missed.

        Raises
        ------
        StoreUnavailable
            If the connection is lost.
        """
        with database_errors(self._address.place):
            connection = await self._address.connect()
            try:
                for channel in channels:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                wake(None)
                while True:
                    async for notification in connection.notifies(timeout=BEAT_SECONDS):
                        wake(notification.channel)
                    with time_limit(connection, ANSWER_SECONDS):
                        await connection.execute("SELECT 1")
            finally:
                await connection.close()

    async def close_async(self) -> None:
        """Close the connections."""
        await self._connections.close()


async def run(connection: AsyncConnection, query: str, **arguments: Any) -> list[dict[str, Any]]:
    """Run a query on a connection, and return its rows."""
    async with await _begun(connection, query, arguments) as cursor:
        return await cursor.fetchall() if cursor.description else []


async def _begun(
    connection: AsyncConnection, query: str, arguments: Mapping[str, Any]
) -> AsyncCursor[dict[str, Any]]:
    """Run a query, and return its cursor."""
    values = {name: _adapted(value) for name, value in arguments.items()}
    return await connection.cursor(row_factory=dict_row).execute(query, values)


def _adapted(value: Any) -> Any:
    """Convert the dicts in a parameter of a query to JSON."""
    if isinstance(value, dict):
        return Jsonb(value)
    if isinstance(value, list):
        return [_adapted(each) for each in value]
    if isinstance(value, tuple):
        return tuple(_adapted(each) for each in value)
    return value
