"""The conversion of the driver's errors to StoreUnavailable."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg

from emulator.backends.records.protocol import StoreUnreadable
from emulator.backends.unavailable import StoreUnavailable


def reason_of(error: BaseException) -> str:
    """Return the description of an error in one line. Messages of the driver do not contain passwords."""
    if isinstance(error, StoreUnavailable | StoreUnreadable):
        return error.reason
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def has_too_many(error: BaseException) -> bool:
    """Return whether the database refuses a connection because it has too many connections."""
    # The driver does not report the SQLSTATE of an error during an attempt to connect.
    return any(text in str(error) for text in ("too many", "remaining connection slots"))


@contextlib.contextmanager
def database_errors(place: str) -> Iterator[None]:
    """Convert errors of the database, of the network and of the driver to StoreUnavailable."""
    try:
        yield
    except (psycopg.Error, OSError) as error:
        raise StoreUnavailable(reason_of(error), place) from error
