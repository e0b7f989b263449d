"""``BatchingConnection``, an SQLite connection that commits the statements of concurrent calls together."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
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


Results = list[Result]
Then = Callable[[Results], None]
"""Called in the event loop with the results of statements, in the order in which they were committed, even if
their caller was cancelled."""


@dataclass(frozen=True)
class Statement:
    """A statement with its parameters. If ``must_change`` is true, it must change at least one row."""

    sql: str
    parameters: Sequence[Any] = ()
    must_change: bool = False

    def run(self, connection: sqlite3.Connection) -> Results:
        """Run the statement."""
        cursor = connection.execute(self.sql, self.parameters)
        result = Result(cursor.fetchall(), cursor.rowcount)
        if self.must_change and not result.rowcount:
            raise NothingChanged
        return [result]


class NothingChanged(Exception):
    """A statement that must change a row changed none, so all statements of its group were undone."""


@dataclass(frozen=True)
class _Script:
    """Several statements, which begin and commit their own transaction."""

    sql: str

    def run(self, connection: sqlite3.Connection) -> Results:
        connection.executescript(self.sql)
        return []


@dataclass(frozen=True)
class _Group:
    """Statements that all succeed, or are all undone."""

    statements: Sequence[Statement]

    def run(self, connection: sqlite3.Connection) -> Results:
        # Outside of a transaction, a savepoint begins one.
        connection.execute("SAVEPOINT together")
        try:
            results = [result for each in self.statements for result in each.run(connection)]
        except (sqlite3.IntegrityError, NothingChanged):
            connection.execute("ROLLBACK TO together")
            connection.execute("RELEASE together")
            raise
        connection.execute("RELEASE together")
        return results


@dataclass(frozen=True, eq=False)
class _Order:
    """A statement, group or script to run, and the future for its results."""

    work: Statement | _Script | _Group
    future: asyncio.Future[Results]
    then: Then | None


_Outcome = tuple[_Order, "Results | BaseException"]


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
        self._waiting: deque[_Order | None] = deque()
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._is_idle = False
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)
        self._thread.start()

    @classmethod
    async def connect(cls, path: Path, lock_seconds: float) -> Self:
        """Open a file. A statement waits for at most ``lock_seconds`` for the file's lock."""
        connection = await asyncio.to_thread(
            sqlite3.connect, path, timeout=lock_seconds, isolation_level=None, check_same_thread=False
        )
        return cls(connection)

    async def execute(self, sql: str, parameters: Sequence[Any] = (), then: Then | None = None) -> Result:
        """Run a statement."""
        (result,) = await self._run(Statement(sql, parameters), then)
        return result

    async def execute_fetchall(
        self, sql: str, parameters: Sequence[Any] = (), then: Then | None = None
    ) -> list[Any]:
        """Run a statement, and return its rows."""
        return (await self.execute(sql, parameters, then)).rows

    async def execute_together(self, statements: Sequence[Statement], then: Then | None = None) -> Results:
        """Run statements, and undo all of them if one fails.

        ``then`` is called with the results before this method returns them.

        Raises
        ------
        NothingChanged
            If a statement that must change a row changed none.
        """
        return await self._run(statements[0] if len(statements) == 1 else _Group(statements), then)

    async def executescript(self, script: str) -> None:
        """Run several statements, which begin and commit their own transaction. Undo them after an error."""
        await self._run(_Script(script))

    async def close(self) -> None:
        """Run all waiting statements, and close the file."""
        self._waiting.append(None)
        self._woken.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _run(self, work: Statement | _Script | _Group, then: Then | None = None) -> Results:
        future: asyncio.Future[Results] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Order(work, future, then))
        if self._is_idle:
            # A busy thread is not woken, because it takes the order after its current batch.
            self._is_idle = False
            self._woken.put(None)
        return await future

    def _work(self) -> None:
        """Run statements until ``close`` is called."""
        is_open = True
        while is_open:
            # In this order, the thread sees what was added before it counted as idle.
            self._is_idle = True
            if not self._waiting:
                self._woken.get()
            self._is_idle = False
            while is_open and self._waiting:
                batch: list[_Order] = []
                while len(batch) < MOST_STATEMENTS and self._waiting:
                    order = self._waiting.popleft()
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

    def _alone(self, order: _Order) -> Results | BaseException:
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
        if order.then is not None and not isinstance(outcome, BaseException):
            order.then(outcome)
        if order.future.done():
            continue  # the caller was cancelled
        if isinstance(outcome, BaseException):
            order.future.set_exception(outcome)
        else:
            order.future.set_result(outcome)
