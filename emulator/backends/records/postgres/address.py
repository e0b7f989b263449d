"""The address of a database, its description without the password, and new connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Final

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

CONNECT_SECONDS: Final = 3
"""Longest time that a new connection may take."""

ANSWER_SECONDS: Final = 3.0
"""Longest time that the database may take to answer a trivial query."""

LOCK_SECONDS: Final = 120
"""Longest time of a statement, which may have to wait for other transactions, such as a restore."""

IDLE_SECONDS: Final = 30
"""Time after which the database rolls back an idle transaction."""

_SETTINGS: Final = (
    f"SET statement_timeout = '{LOCK_SECONDS}s'; "
    f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'; "
    "SET default_transaction_isolation = 'read committed'; "
    # See `Flush`.
    "SELECT set_config('face_emulator.synchronous_commit', current_setting('synchronous_commit'), false); "
    "SET synchronous_commit = off"
)


class Address:
    """The address of the database.

    Raises
    ------
    ValueError
        If the URL is invalid.
    """

    def __init__(self, url: str) -> None:
        given = _parts(url)
        host, port = given.get("host") or given.get("hostaddr"), given.get("port")
        where = f"{host or 'localhost'}{f':{port}' if port else ''}"
        self.place = f"the PostgreSQL database {given.get('dbname') or '(default)'} at {where}"
        defaults: dict[str, str | int | None] = {
            "application_name": "face-api-emulator",
            "connect_timeout": CONNECT_SECONDS,
            # The operating system closes a connection if sent data is not acknowledged in time.
            "tcp_user_timeout": int(ANSWER_SECONDS * 1000),
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
        }
        self.conninfo = make_conninfo("", **{**defaults, **given})

    def __repr__(self) -> str:
        return f"<Address of {self.place}>"

    async def connect(self) -> AsyncConnection:
        """Return a new connection in autocommit mode."""
        connection = await AsyncConnection.connect(self.conninfo, autocommit=True)
        try:
            with time_limit(connection, ANSWER_SECONDS):
                await connection.execute(_SETTINGS)
        except BaseException:
            await connection.close()
            raise
        return connection


def _parts(url: str) -> dict[str, str | int | None]:
    """Return the parts of a URL. Errors do not contain it, because it contains the password."""
    with contextlib.suppress(psycopg.ProgrammingError):
        parts = conninfo_to_dict(url)
        ports = str(parts.get("port") or "").split(",")
        if url.startswith(("postgresql://", "postgres://")) and all(not p or p.isdecimal() for p in ports):
            return parts
    raise ValueError(
        "the URL of the database is invalid: it must have the form "
        "`postgresql://user:password@host:port/database`, in which special characters of the user and the "
        "password are percent-encoded"
    )


def abort(connection: AsyncConnection) -> None:
    """Close a connection without waiting for the database, which may hang. Its statement fails at once."""
    if connection.closed:
        return
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as same,
    ):
        same.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def time_limit(connection: AsyncConnection, seconds: float) -> Iterator[None]:
    """Close the connection if the statements in this context take longer than ``seconds``."""
    timer = asyncio.get_running_loop().call_later(seconds, abort, connection)
    try:
        yield
    finally:
        timer.cancel()
