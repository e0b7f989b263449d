"""``Replicas``, the processes that use the same database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol


class Replicas(Protocol):
    """The processes that use the same database, called replicas."""

    @property
    def me(self) -> str:
        """Id of this replica. No other process has had it, unless only one process can use the database."""

    async def living(self) -> Collection[str]:
        """Return the ids of all replicas that are alive.

        A replica that lost its connection to the database a moment ago still counts as alive.
        """


class Registered(Protocol):
    """A replica that is registered in a database."""

    @property
    def id(self) -> int:
        """Number of the replica."""


class Registry(Protocol):
    """A database in which replicas are registered."""

    @property
    def replica_id(self) -> int:
        """Number of this replica, when the database is open."""

    async def replicas(self) -> Sequence[Registered]:
        """Return the replicas that are alive."""


class RegisteredReplicas:
    """The replicas that are registered in a database.

    Parameters
    ----------
    registry : Registry
        The database.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    @property
    def me(self) -> str:
        """Id of this replica. The database must be open."""
        return str(self._registry.replica_id)

    async def living(self) -> Collection[str]:
        """Return the ids of all replicas that are alive."""
        return {str(replica.id) for replica in await self._registry.replicas()}


class OnlyReplica:
    """The only process that uses a database."""

    # Its id is the same after every start, so that equal calls leave equal documents.
    me = ""

    async def living(self) -> Collection[str]:
        """Return the id of this process."""
        return {self.me}
