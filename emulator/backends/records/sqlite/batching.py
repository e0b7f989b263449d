"""``BatchingConnection``, an SQLite connection that commits the statements of concurrent calls together."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, Self

from emulator.backends.records.sqlite.edits import (
    Edits,
    Inserted,
    NothingChanged,
    Place,
    run_together,
    undone_after_errors,
)

MOST_STATEMENTS = 200
"""Largest number of statements in one transaction, so that no call waits for long."""


class Result(NamedTuple):
    """The rows that a statement has returned, and the number of rows that it has changed."""

    rows: list[Any]
    rowcount: int


Results = list[Result]
Then = Callable[[Any], None]
"""Called in the event loop with the results of statements, in the order in which they were committed, even if
their caller was cancelled."""


class Statement(NamedTuple):
    """A statement with its parameters."""

    sql: str
    parameters: Sequence[Any] = ()

    def run(self, connection: sqlite3.Connection) -> Results:
        """Run the statement."""
        cursor = connection.execute(self.sql, self.parameters)
        return [Result(cursor.fetchall(), cursor.rowcount)]


class _Script(NamedTuple):
    """Several statements, which begin and commit their own transaction."""

    sql: str

    def run(self, connection: sqlite3.Connection) -> Results:
        connection.executescript(self.sql)
        return []


class _Group(NamedTuple):
    """Statements that all succeed, or are all undone."""

    statements: Sequence[Statement]

    def run(self, connection: sqlite3.Connection) -> Results:
        with undone_after_errors(connection):
            return [result for each in self.statements for result in each.run(connection)]


class _Order(NamedTuple):
    """The work for the thread, and the future for its result."""

    work: Statement | _Script | _Group | Edits
    future: asyncio.Future[Any]
    then: Then | None


_Outcome = tuple[_Order, Any]
"""An order, and its result or exception."""


class BatchingConnection:
    """A connection to an SQLite file, in its own thread.

    Statements run in the order of the calls. All statements that are waiting when the thread is free run in
    one transaction, and their calls return after its commit. A commit and a hand-over between threads take
    several times as long as a small statement. Concurrent calls share this time.

    A statement that fails does not affect others, except those of its own group. If the transaction fails,
    each of its statements and groups runs again, alone.

    The edits of several calls are merged, so that each SQL statement runs once for all of them.
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
        results: Results = await self._run(Statement(sql, parameters), then)
        return results[0]

    async def execute_fetchall(
        self, sql: str, parameters: Sequence[Any] = (), then: Then | None = None
    ) -> list[Any]:
        """Run a statement, and return its rows."""
        return (await self.execute(sql, parameters, then)).rows

    async def execute_together(self, statements: Sequence[Statement]) -> Results:
        """Run statements, and undo all of them if one fails."""
        results: Results = await self._run(_Group(statements))
        return results

    async def edit(self, edits: Edits, then: Then | None = None) -> Inserted:
        """Make edits, and undo all of them if one fails.

        ``then`` is called with the result before this method returns it.

        Raises
        ------
        NothingChanged
            If an edit that must change a row changed none.
        """
        inserted: Inserted = await self._run(edits, then)
        return inserted

    async def executescript(self, script: str) -> None:
        """Run several statements, which begin and commit their own transaction. Undo them after an error."""
        await self._run(_Script(script))

    async def close(self) -> None:
        """Run all waiting statements, and close the file."""
        self._waiting.append(None)
        self._woken.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _run(self, work: Statement | _Script | _Group | Edits, then: Then | None = None) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Order(work, future, then))
        if self._is_idle:
            # A busy thread is not woken, because it takes the order after its current batch.
            self._is_idle = False
            # All callbacks that the loop runs before this one can add to the batch.
            future.get_loop().call_soon(self._woken.put, None)
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
            for orders in _mergeable(batch):
                outcomes += self._merged(orders) or [(order, self._inside(order)) for order in orders]
            self._connection.execute("COMMIT")
        except Exception:  # noqa: BLE001 - a call gets the error when its statement runs alone
            self._undo()
            return None
        return outcomes

    def _merged(self, orders: Sequence[_Order]) -> list[_Outcome] | None:
        """Run the merged edits of several orders. If one of them fails, undo all and return None."""
        edits = [order.work for order in orders if isinstance(order.work, Edits)]
        if len(edits) <= 1:
            return None
        try:
            with undone_after_errors(self._connection):
                inserted = run_together(self._connection, edits)
        except (sqlite3.IntegrityError, NothingChanged):
            return None
        return list(zip(orders, inserted, strict=True))

    def _inside(self, order: _Order) -> Any:
        """Run an order inside a transaction, and return its result or exception."""
        try:
            return order.work.run(self._connection)
        except (sqlite3.IntegrityError, NothingChanged) as error:
            return error

    def _alone(self, order: _Order) -> Any:
        """Run an order in its own transaction, and return its result or exception."""
        try:
            return order.work.run(self._connection)
        except Exception as error:  # noqa: BLE001 - the call gets the error
            self._undo()
            return error

    def _undo(self) -> None:
        # SQLite itself has ended the transaction after some errors, such as a full disk.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _mergeable(batch: Iterable[_Order]) -> Iterator[list[_Order]]:
    """Split a batch into lists of orders: edits that can be merged, or one other order."""
    orders: list[_Order] = []
    places: set[Place] = set()
    for order in batch:
        mine = order.work.places if isinstance(order.work, Edits) else None
        if orders and (mine is None or not places.isdisjoint(mine)):
            yield orders
            orders, places = [], set()
        if mine is None:
            yield [order]
        else:
            orders.append(order)
            places |= mine
    if orders:
        yield orders


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
