"""The tables of Procrastinate, and their creation and migration."""

from __future__ import annotations

from importlib import resources
from typing import Final

from psycopg import AsyncConnection

from emulator.backends.records.postgres.schema import LOCK
from emulator.backends.records.protocol import StoreUnreadable

SCHEMA: Final = "face_emulator"
"""PostgreSQL schema of the tables. The records use the same schema."""

_FORMAT: Final = "queue_format"
"""Table whose only row has the name of the last migration."""


def migrations() -> list[str]:
    """Return the names of the migrations of the installed Procrastinate, in order."""
    folder = resources.files("procrastinate.sql") / "migrations"
    return sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))


async def migrate(connection: AsyncConnection, place: str) -> None:
    """Create the tables, or bring them to the version of the installed Procrastinate.

    Any number of processes can call this at once. The first one migrates, and the others wait for it.

    Raises
    ------
    StoreUnreadable
        If a newer version of Procrastinate has created the tables.
    """
    known = migrations()
    while await _last(connection, known, place) != known[-1]:
        # Each migration needs its own transaction: a value that it adds to an enum type can be used only
        # after the transaction has been committed.
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            last = await _last(connection, known, place)
            await connection.execute(f"SET LOCAL search_path = {SCHEMA}")
            if last is None:
                await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
                await connection.execute(script("schema.sql"))
                await connection.execute(f"CREATE TABLE {SCHEMA}.{_FORMAT} (migration text NOT NULL)")
                await connection.execute(f"INSERT INTO {SCHEMA}.{_FORMAT} VALUES (%s)", (known[-1],))  # noqa: S608 - a constant
            elif last != known[-1]:
                following = known[known.index(last) + 1]
                await connection.execute(script(f"migrations/{following}"))
                await connection.execute(f"UPDATE {SCHEMA}.{_FORMAT} SET migration = %s", (following,))  # noqa: S608 - a constant


async def _last(connection: AsyncConnection, known: list[str], place: str) -> str | None:
    """Return the name of the last migration, or None if there are no tables."""
    # `to_regclass` can miss tables that were created while this transaction waited for the lock.
    found = await connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename = %s", (SCHEMA, _FORMAT)
    )
    if await found.fetchone() is None:
        return None
    row = await (await connection.execute(f"SELECT migration FROM {SCHEMA}.{_FORMAT}")).fetchone()  # noqa: S608 - a constant
    last = "" if row is None else str(row[0])
    if last not in known:
        raise StoreUnreadable(
            place,
            f"its queue has Procrastinate's migration {last}, but this emulator supports only those up to "
            f"{known[-1]}",
            "use a newer emulator, or another database",
        )
    return last


def script(name: str) -> str:
    """Return the text of an SQL file of the installed Procrastinate."""
    return resources.files("procrastinate.sql").joinpath(name).read_text(encoding="utf-8")
