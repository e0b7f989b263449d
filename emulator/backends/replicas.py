"""``Replicas``, the processes that use the same database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Replicas(Protocol):
    """The processes that use the same database, called replicas."""

    @property
    def me(self) -> str:
        """Id of this replica. No other process has had it, unless only one process can use the database."""

    async def living(self) -> Collection[str]:
        """Return the ids of all replicas that are alive.

        A replica that has lost its connection to the database is missing, so it may only seem to be dead.
        """


class OnlyReplica:
    """The only process that uses a database."""

    # Its id is the same after every start, so that equal calls leave equal documents.
    me = ""

    async def living(self) -> Collection[str]:
        """Return the id of this process."""
        return {self.me}
