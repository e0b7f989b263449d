"""The processes that use the database, and how they detect which others are alive."""

from __future__ import annotations

import os
import socket
from typing import Any, Final, Literal

from psycopg import AsyncConnection
from psycopg.rows import class_row

from emulator.backends.records.postgres.address import ANSWER_SECONDS, Address, time_limit
from emulator.backends.records.postgres.failures import database_errors
from emulator.backends.replicas import Replica
from emulator.version import VERSION

LOCKS: Final = 715_102_306
"""First number of the advisory locks of replicas. The second is the replica's id."""

MISSING_SECONDS: Final = 5
"""Time without its lock after which a replica counts as dead. A replica that is alive reconnects sooner."""

KEPT_SECONDS: Final = 60
"""Time after which the row of a dead replica is deleted."""

_IS_LOCKED: Final = (
    "EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    f"AND l.classid = {LOCKS} AND l.objid = r.id AND l.objsubid = 2)"
)

_IS_ALIVE: Final = (
    f"({_IS_LOCKED} OR r.missing_since IS NULL OR r.missing_since > now() - interval '{MISSING_SECONDS}s')"
)


async def register(
    connection: AsyncConnection,
    known: int | None,
    role: Literal["server", "worker"],
    workers: int,
    settings: str,
) -> int:
    """Register this process as a replica, and take its lock on the connection. Return the replica's id.

    ``known`` is the id of a process that reconnects, or None. ``settings`` identifies the settings that all
    replicas must have in common.
    """
    number = known
    if known is not None:
        # The database may not have noticed yet that the old connection, which holds the lock, is lost.
        await connection.execute(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.locktype = 'advisory' "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND l.classid = %s::oid AND l.objid = %s::oid AND l.objsubid = 2 AND l.pid <> pg_backend_pid()",
            (LOCKS, known),
        )
    columns = "role, host, pid, version, workers, settings"
    values: tuple[Any, ...] = (role, socket.gethostname(), os.getpid(), VERSION, workers, settings)
    if number is None:
        # In one transaction, so that others do not see the row before its lock is taken.
        async with connection.transaction():
            cursor = await connection.execute(
                f"INSERT INTO face_emulator.replicas ({columns}) "
                "VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
                values,
            )
            number = int((await cursor.fetchone() or (0,))[0])
            await connection.execute("SELECT pg_advisory_lock(%s, %s)", (LOCKS, number))
        return number
    await connection.execute("SELECT pg_advisory_lock(%s, %s)", (LOCKS, number))
    # If the database was down, the other replicas have lost their connections, too.
    await connection.execute(
        "UPDATE face_emulator.replicas SET missing_since = NULL WHERE missing_since IS NOT NULL"
    )
    await connection.execute(
        f"INSERT INTO face_emulator.replicas (id, {columns}) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (number, *values),
    )
    return number


async def living(connection: AsyncConnection) -> list[Replica]:
    """Return the replicas that are alive. Mark replicas without a lock, and delete those dead for long."""
    await connection.execute(
        f"UPDATE face_emulator.replicas r SET missing_since = now() "
        f"WHERE missing_since IS NULL AND NOT {_IS_LOCKED}"
    )
    await connection.execute(
        "DELETE FROM face_emulator.replicas r "
        f"WHERE missing_since < now() - interval '{KEPT_SECONDS}s' AND NOT {_IS_LOCKED}"
    )
    async with connection.cursor(row_factory=class_row(Replica)) as cursor:
        await cursor.execute(
            "SELECT id, role, host, pid, version, workers, settings, started_at "
            f"FROM face_emulator.replicas r WHERE {_IS_ALIVE} ORDER BY id"
        )
        return await cursor.fetchall()


async def remove(connection: AsyncConnection, number: int) -> None:
    """Delete the row of a replica that is shutting down."""
    await connection.execute("DELETE FROM face_emulator.replicas WHERE id = %s", (number,))


async def living_replicas(url: str) -> list[Replica]:
    """Return the replicas that are alive, for a process that is not a replica.

    Raises
    ------
    StoreUnavailable
        If the database cannot be used, or no replica has used it yet.
    """
    address = Address(url)
    with database_errors(address.place):
        connection = await address.connect()
        try:
            with time_limit(connection, ANSWER_SECONDS):
                return await living(connection)
        finally:
            await connection.close()
