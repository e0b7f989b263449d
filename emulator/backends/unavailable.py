"""``StoreUnavailable``, the error of a store that cannot be used now, and functions that wait for a store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
"""Real seconds to wait before each retry. The last number applies to all further retries."""


DATA_FOLDER: Final = "the data folder"


class StoreUnavailable(Exception):
    """A store cannot be read or written now, for example because its disk is full or it is down.

    Attributes
    ----------
    reason : str
        Why it cannot be used.
    store : str
        Description of the store, such as ``the data folder``.
    """

    def __init__(self, reason: str, store: str = DATA_FOLDER) -> None:
        super().__init__(reason, store)
        self.reason = reason
        self.store = store

    def __str__(self) -> str:
        return f"{self.store} cannot be used now: {self.reason}"


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Convert errors of the file system and of SQLite to StoreUnavailable."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # errors of the caller
    except (OSError, sqlite3.DatabaseError) as error:
        raise StoreUnavailable(str(error)) from error


async def until_stored(work: Callable[[], Awaitable[T]]) -> T:
    """Call ``work`` until it does not raise StoreUnavailable, and return its result."""
    tries = 0
    while True:
        try:
            return await work()
        except StoreUnavailable as error:
            if not tries:
                logger.warning("background work waits, because %s", error)
            pause = PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)]
            tries += 1
            await asyncio.sleep(pause)
