"""A database for documents and counters in PostgreSQL, which several processes can use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import anyio.to_thread
import psycopg
from psycopg import AsyncConnection, sql
from psycopg.errors import UniqueViolation

from emulator.backends.records.postgres import copies, replicas, statements
from emulator.backends.records.postgres.address import ANSWER_SECONDS, Address, time_limit
from emulator.backends.records.postgres.connections import Connections, NoMatch
from emulator.backends.records.postgres.failures import database_errors, has_too_many, reason_of
from emulator.backends.records.postgres.flush import Flush
from emulator.backends.records.postgres.listener import Listener
from emulator.backends.records.postgres.schema import CHANNEL, migrate
from emulator.backends.records.postgres.texts import encoded, indexed, members
from emulator.backends.records.protocol import (
    Change,
    Counter,
    Create,
    Document,
    Enqueue,
    Heard,
    Record,
    StoreUnreadable,
    Written,
)
from emulator.backends.replicas import Replica
from emulator.backends.unavailable import StoreUnavailable

logger = logging.getLogger(__name__)

Enqueuing = Callable[[AsyncConnection, Sequence[Enqueue]], Awaitable[None]]
"""Adds tasks to the queue, in the current transaction of the connection."""

START_SECONDS: Final = 15.0
"""Longest time to wait at startup for a database that does not accept connections."""

LARGE_RESULT: Final = 50
"""If a result has at least this many rows, its documents are parsed in a thread."""


class PostgresRecords:
    """Documents and counters in PostgreSQL.

    Each call is one statement or one transaction, and has a connection to itself. If the connection is lost,
    a read is repeated. A write is not repeated, because it may have been committed.

    Parameters
    ----------
    url : str
        Address of the database, such as ``postgresql://user:password@host:5432/database``.
    enqueue : callable, optional
        Adds tasks to the queue for `Enqueue` changes. Without it, these changes are ignored.
    role, workers, settings
        Facts about this replica that others can read: its role, the number of its worker processes, and a
        text that identifies the settings that all replicas must have in common.

    Raises
    ------
    ValueError
        If the URL is invalid.
    """

    def __init__(
        self,
        url: str,
        *,
        enqueue: Enqueuing | None = None,
        role: Literal["server", "worker"] = "server",
        workers: int = 0,
        settings: str = "",
    ) -> None:
        self._address = Address(url)
        self._enqueue = enqueue
        self._role = role
        self._workers = workers
        self._settings = settings
        self._replica_id: int | None = None
        self._connections = Connections(self._address)
        self._flush = Flush(self._connections)
        self._listener = Listener(self._listening, self._connections, self._address.place)

    async def open(self, wait_seconds: float = START_SECONDS) -> None:
        """Connect, and create or migrate the tables. If the database is not reachable yet, wait for it.

        Raises
        ------
        StoreUnreadable
            If the database cannot be used, or its tables were created by a newer emulator.
        """
        deadline = time.monotonic() + wait_seconds
        warned = False
        while True:
            try:
                await self._listener.open()
            except (psycopg.Error, OSError) as error:
                if not _may_pass(error) or time.monotonic() >= deadline:
                    raise StoreUnreadable(
                        self._address.place, reason_of(error), "check FACE_EMULATOR_DATABASE_URL"
                    ) from error
                if not warned:
                    logger.warning("waiting for %s: %s", self._address.place, reason_of(error))
                    warned = True
                await asyncio.sleep(0.2)
            else:
                return

    async def _listening(self) -> AsyncConnection:
        """Return a new connection that receives notifications, and shows that this process is alive."""
        connection = await self._address.connect()
        try:
            await migrate(connection, self._address.place)
            with time_limit(connection, ANSWER_SECONDS):
                self._replica_id = await replicas.register(
                    connection, self._replica_id, self._role, self._workers, self._settings
                )
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def is_shared(self) -> bool:
        """True, because several processes can use a PostgreSQL database."""
        return True

    @property
    def place(self) -> str:
        """Description of the database, without the password."""
        return self._address.place

    @property
    def replica_id(self) -> int:
        """Number of this replica."""
        if self._replica_id is None:
            raise RuntimeError("the records are not open: the application's lifespan has not started")
        return self._replica_id

    async def replicas(self) -> list[Replica]:
        """Return the replicas that are alive."""
        return await self._connections.run(replicas.living, reads=True)

    async def is_alive(self, replica_id: int) -> bool:
        """Return whether a replica is alive. A killed replica counts as alive for a few seconds."""
        return any(replica.id == replica_id for replica in await self.replicas())

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a new document, and return it."""
        try:
            found = await self._row(statements.CREATE, statements.row(kind, key, credential, document))
        except UniqueViolation as error:
            raise KeyError(key) from error
        return Record(key, credential, document, *found)

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a document, replace any existing document of the same kind and key, and return it."""
        found = await self._row(statements.PUT, statements.row(kind, key, credential, document))
        return Record(key, credential, document, *found)

    async def append(
        self, kind: str, key: str, credential: str, document: Mapping[str, Any], by: int = 1
    ) -> Record:
        """Store a new document, give it the next ``by`` numbers of its kind, and return the record."""
        try:
            row = statements.appended_row(kind, key, credential, document, by)
            serial, version, last = await self._row(statements.APPEND, row)
        except UniqueViolation as error:
            raise KeyError(key) from error
        return Record(key, credential, {**document, "last": last}, serial, version)

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""
        found = await self._rows(statements.GET, (kind, indexed(key)[0]))
        return statements.record_of(found[0]) if found else None

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> Record | None:
        """Store ``document`` instead of ``record``. Return the new record, or None if this failed."""
        values = (encoded(document), members(document), record.serial, kind, record.version)
        if await self._change(statements.REPLACE, values) == 0:
            return None
        return Record(record.key, record.credential, document, record.serial, record.version + 1)

    async def write(self, changes: Sequence[Change]) -> bool:
        """Make all changes in one transaction, and return whether this succeeded."""
        tasks = [change for change in changes if isinstance(change, Enqueue)]
        text = statements.changes([change for change in changes if not isinstance(change, Enqueue)])

        async def work(connection: AsyncConnection) -> None:
            if not tasks or self._enqueue is None:
                await connection.execute(statements.CHANGE, (text,))
                return
            # Without a pipeline, BEGIN and COMMIT would need round trips of their own.
            async with connection.pipeline() as pipeline, connection.transaction():
                await connection.execute(statements.CHANGE, (text,))
                await pipeline.sync()
                await self._enqueue(connection, tasks)

        try:
            await self._connections.run(work)
            await self._flush.wait()
        except UniqueViolation as error:
            raise KeyError(*(change.key for change in changes if isinstance(change, Create))) from error
        except NoMatch:
            return False
        return True

    async def find(
        self, kind: str, credential: str | None = None, *, after: int = 0, unset: str | None = None
    ) -> list[Record]:
        """Return the documents of a kind, oldest first, of ``credential`` or of all credentials."""
        found = await self._rows(*statements.find(kind, credential, after, unset))
        if len(found) < LARGE_RESULT:
            return [statements.record_of(row) for row in found]
        return await anyio.to_thread.run_sync(lambda: [statements.record_of(row) for row in found])

    async def tally(self, kind: str, member: str) -> dict[str, int]:
        """Return the number of documents of a kind for each value of a string member."""
        return dict(await self._rows(statements.TALLY, (member, kind)))

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether it existed."""
        return await self._change(statements.DELETE, (kind, indexed(key)[0])) == 1

    async def count_up(self, name: str, credential: str = "", by: int = 1) -> int:
        """Add ``by`` to a counter of a credential, which begins at 0, and return its new value."""
        found = await self._row(statements.COUNT_UP, statements.counter_row(name, credential, by))
        return int(found[0])

    async def draw(self, name: str, credential: str, by: int = 1) -> tuple[int, Sequence[Change]]:
        """Add ``by`` to a counter, and return its new value. No change must be written."""
        return await self.count_up(name, credential, by), ()

    async def count(self, name: str, credential: str = "") -> int:
        """Return the value of a counter of a credential."""
        found = await self._rows(statements.COUNT, (indexed(name)[0], indexed(credential)[0]))
        return int(found[0][0]) if found else 0

    async def counters(self, prefix: str, credential: str | None = None) -> list[Counter]:
        """Return the counters whose name begins with ``prefix``, sorted by name and credential."""
        found = map(statements.counter_of, await self._rows(*statements.counters(prefix, credential)))
        return sorted(
            (counter for counter in found if counter.name.startswith(prefix)),
            key=lambda counter: (counter.name, counter.credential),
        )

    def note(self, written: Written) -> None:
        """Do nothing, because other processes can write documents, too."""

    def listen(self, kind: str, heard: Heard) -> None:
        """From now on, call ``heard`` each time any process may have changed a document of a kind."""
        self._listener.notices.listen(kind, heard)

    async def catch_up(self) -> None:
        """Call the listeners for all changes that any process has made before this call."""
        await self._listener.catch_up()

    async def forget(self, credential: str | None) -> None:
        """Delete the documents and counters of ``credential``, or all if it is None."""
        whose = None if credential is None else indexed(credential)[0]
        await self._row(statements.FORGET, (whose,))

    async def export(self) -> AsyncIterator[Document | Counter]:
        """Yield a consistent copy of all documents, the oldest first, and of all counters."""
        with database_errors(self.place):
            async for entry in copies.export(self._address):
                yield entry

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        """Replace all documents and counters with ``entries``. If this raises, nothing has changed."""
        with database_errors(self.place):
            await anyio.to_thread.run_sync(copies.restore, self._address, entries)

    async def compact(self) -> None:
        """Do nothing, because PostgreSQL reuses the space of deleted documents (autovacuum)."""

    async def check(self) -> None:
        """Write to the database without changing its content."""
        await self._change(statements.CHECK, (self.replica_id,))

    async def close(self) -> None:
        """Close the connections."""
        number, self._replica_id = self._replica_id, None
        if number is not None:
            with contextlib.suppress(StoreUnavailable):
                await self._connections.run(lambda connection: replicas.remove(connection, number))
        await self._flush.close()
        await self._listener.close()
        await self._connections.close()

    async def _rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """Run a statement that only reads, and return its rows."""

        async def work(connection: AsyncConnection) -> list[Any]:
            return await (await connection.execute(statement, values)).fetchall()

        return await self._connections.run(work, reads=True)

    async def _row(self, statement: str, values: Sequence[Any]) -> Any:
        """Run a statement that changes something, and return its row."""

        async def work(connection: AsyncConnection) -> Any:
            return await (await connection.execute(statement, values)).fetchone()

        found = await self._connections.run(work)
        await self._flush.wait()
        return found

    async def _change(self, statement: str, values: Sequence[Any]) -> int:
        """Run a statement, and return the number of changed rows."""

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(statement, values)).rowcount

        changed = await self._connections.run(work)
        if changed:
            await self._flush.wait()
        return changed


def _may_pass(error: BaseException) -> bool:
    """Return whether the database may accept connections soon, for example because it is starting."""
    text = str(error)
    return (
        "FATAL" not in text
        or has_too_many(error)
        or any(passing in text for passing in ("starting up", "shutting down", "recovery"))
    )
