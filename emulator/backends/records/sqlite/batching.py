"""``BatchingConnection``, an SQLite connection that commits the statements of concurrent calls together."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

MOST_STATEMENTS = 200
"""Largest number of statements in one transaction, so that no call waits for long."""


@dataclass(frozen=True)
class Result:
    """The rows that a statement has returned, and the number of rows that it has changed."""

    rows: list[Any]
    rowcount: int


@dataclass(frozen=True)
class Statement:
    """A statement with its parameters. If ``must_change`` is true, it must change at least one row."""

    sql: str
    parameters: Sequence[Any] = ()
    must_change: bool = False

    def run(self, connection: sqlite3.Connection) -> Result:
        """Run the statement."""
        cursor = connection.execute(self.sql, self.parameters)
        return Result(cursor.fetchall(), cursor.rowcount)


class NothingChanged(Exception):
    """A statement that must change a row changed none, so all statements of its group were undone."""


@dataclass(frozen=True)
class _Script:
    """Several statements, which begin and commit their own transaction."""

    sql: str

    def run(self, connection: sqlite3.Connection) -> Result:
        connection.executescript(self.sql)
        return Result([], -1)


@dataclass(frozen=True)
class _Group:
    """Statements that all succeed, or are all undone."""

    statements: Sequence[Statement]

    def run(self, connection: sqlite3.Connection) -> Result:
        # Outside of a transaction, a savepoint begins one.
        connection.execute("SAVEPOINT together")
        try:
            result = self._run_all(connection)
        except (sqlite3.IntegrityError, NothingChanged):
            connection.execute("ROLLBACK TO together")
            connection.execute("RELEASE together")
            raise
        connection.execute("RELEASE together")
        return result

    def _run_all(self, connection: sqlite3.Connection) -> Result:
        result = Result([], -1)
        for statement in self.statements:
            result = statement.run(connection)
            if result.rowcount == 0 and statement.must_change:
                raise NothingChanged
        return result


@dataclass(frozen=True, eq=False)
class _Order:
    """A statement, group or script to run, and the future for its result."""

    work: Statement | _Script | _Group
    future: asyncio.Future[Result]


_Outcome = tuple[_Order, "Result | BaseException"]


class BatchingConnection:
    """A connection to an SQLite file, in its own thread.

    Statements run in the order of the calls. All statements that are waiting when the thread is free run in
    one transaction, and their calls return after its commit. A commit and a hand-over between threads take
    several times as long as a small statement. Concurrent calls share this time.

    A statement that fails does not affect others, except those of its own group. If the transaction fails,
    each of its statements and groups runs again, alone.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._waiting: SimpleQueue[_Order | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)
        self._thread.start()

    @classmethod
    async def connect(cls, path: Path, lock_seconds: float) -> Self:
        """Open a file. A statement waits for at most ``lock_seconds`` for the file's lock."""
        connection = await asyncio.to_thread(
            sqlite3.connect, path, timeout=lock_seconds, isolation_level=None, check_same_thread=False
        )
        return cls(connection)

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Result:
        """Run a statement."""
        return await self._run(Statement(sql, parameters))

    async def execute_fetchall(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run a statement, and return its rows."""
        return (await self._run(Statement(sql, parameters))).rows

    async def execute_together(self, statements: Sequence[Statement]) -> list[Any]:
        """Run statements, and undo all of them if one fails. Return the rows of the last statement.

        Raises
        ------
        NothingChanged
            If a statement that must change a row changed none.
        """
        return (await self._run(_Group(statements))).rows

    async def executescript(self, script: str) -> None:
        """Run several statements, which begin and commit their own transaction. Undo them after an error."""
        await self._run(_Script(script))

    async def close(self) -> None:
        """Run all waiting statements, and close the file."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _run(self, work: Statement | _Script | _Group) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.put(_Order(work, future))
        return await future

    def _work(self) -> None:
        """Run statements until ``close`` is called."""
        is_open = True
        while is_open:
            batch: list[_Order] = []
            while len(batch) < MOST_STATEMENTS and (not batch or not self._waiting.empty()):
                order = self._waiting.get()
                if order is None:
                    is_open = False
                    break
                batch.append(order)
            for outcomes in self._outcomes(batch):
                _deliver(outcomes)
        self._connection.close()

    def _outcomes(self, batch: Sequence[_Order]) -> list[list[_Outcome]]:
        """Run a batch, and return the outcomes in the order of the statements."""
        if len(batch) > 1 and not any(isinstance(order.work, _Script) for order in batch):
            together = self._together(batch)
            if together is not None:
                return [together]
        return [[(order, self._alone(order))] for order in batch]

    def _together(self, batch: Sequence[_Order]) -> list[_Outcome] | None:
        """Run a batch in one transaction. If the transaction fails, undo it and return None."""
        try:
            self._connection.execute("BEGIN")
            outcomes: list[_Outcome] = []
            for order in batch:
                try:
                    outcomes.append((order, order.work.run(self._connection)))
                except (sqlite3.IntegrityError, NothingChanged) as error:
                    outcomes.append((order, error))
            self._connection.execute("COMMIT")
        except Exception:  # noqa: BLE001 - a call gets the error when its statement runs alone
            self._undo()
            return None
        return outcomes

    def _alone(self, order: _Order) -> Result | BaseException:
        try:
            return order.work.run(self._connection)
        except Exception as error:  # noqa: BLE001 - the call gets the error
            self._undo()
            return error

    def _undo(self) -> None:
        # SQLite itself has ended the transaction after some errors, such as a full disk.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _deliver(outcomes: Sequence[_Outcome]) -> None:
    """Set the results of futures, in the event loops that wait for them."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome[0].future.get_loop(), []).append(outcome)
    for loop, mine in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, mine)
        except RuntimeError:
            continue  # the loop is closed, so nothing waits for the result


def _resolve(outcomes: Sequence[_Outcome]) -> None:
    for order, outcome in outcomes:
        if order.future.done():
            continue  # the caller was cancelled
        if isinstance(outcome, BaseException):
            order.future.set_exception(outcome)
        else:
            order.future.set_result(outcome)
