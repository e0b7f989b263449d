"""``Replicas``, the processes that use the same database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Replica:
    """A process that uses the database.

    Attributes
    ----------
    id : int
        Number of the replica. Numbers are never reused.
    role : str
        ``server`` or ``worker``.
    host, pid, version
        Name of the machine, process id, and version of the emulator.
    workers : int
        Number of its worker processes.
    settings : str
        Identifies the settings that all replicas must have in common.
    started_at : datetime
        When it was started.
    """

    id: int
    role: str
    host: str
    pid: int
    version: str
    workers: int
    settings: str
    started_at: datetime


class Replicas(Protocol):
    """The processes that use the same database, called replicas."""

    @property
    def me(self) -> str:
        """Id of this replica. It is unique, unless only one process can use the database."""

    async def living(self) -> Collection[str]:
        """Return the ids of all replicas that are alive.

        A replica that has just lost its connection to the database still counts as alive.
        """

    async def registered(self) -> Sequence[Replica] | None:
        """Return all replicas that are alive, or None if only one process can use the database."""


class Registry(Protocol):
    """A database in which replicas are registered."""

    @property
    def replica_id(self) -> int:
        """Number of this replica, when the database is open."""

    async def replicas(self) -> Sequence[Replica]:
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

    async def registered(self) -> Sequence[Replica]:
        """Return all replicas that are alive."""
        return await self._registry.replicas()


class OnlyReplica:
    """The only process that uses a database."""

    # The id is the same after every start, so that the same calls always store the same documents.
    me = ""

    async def living(self) -> Collection[str]:
        """Return the id of this process."""
        return {self.me}

    async def registered(self) -> None:
        """Return None, because there are no other replicas."""
