"""The environment variables that list hosts to reach without a proxy."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

NO_PROXY = ("no_proxy", "NO_PROXY")


@contextlib.contextmanager
def without_proxies(names: Iterable[str]) -> Iterator[None]:
    """Add ``names`` to the hosts to reach without a proxy, for the duration of the block."""
    added = ",".join(sorted(names))
    befores: dict[str, str | None] = {}
    for variable in NO_PROXY:
        before = os.environ.get(variable)
        # A star means all hosts.
        if before != "*" and added:
            befores[variable] = before
            os.environ[variable] = _joined(before, added)
    try:
        yield
    finally:
        for variable, before in befores.items():
            now = os.environ.get(variable)
            # Other redirects, and the test, may have changed the variable meanwhile.
            after = before if now == _joined(before, added) else _removed(now, added)
            if after is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = after


def _joined(before: str | None, added: str) -> str:
    return f"{before},{added}" if before else added


def _removed(now: str | None, added: str) -> str | None:
    """Return the list without the names that were added, or None if no names are left."""
    if now is None or f",{added}," not in f",{now},":
        return now
    return f",{now},".replace(f",{added},", ",", 1).strip(",") or None
