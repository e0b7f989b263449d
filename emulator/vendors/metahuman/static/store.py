"""The stored static files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from emulator.backends.records import Record
from emulator.backends.records.purge import delete_old
from emulator.backends.stateful import Check, Oldest, Stateful, strictly
from emulator.clock import Moment
from emulator.deferral import DeferredAdapter
from emulator.world.world import World

FILE = "metahuman/file"
"""Kind of the records of static files. The key is the name of the file."""


@dataclass(frozen=True)
class StoredFile:
    """The record of a static file. ``created_at`` is a Unix time in seconds, by the token's clock."""

    created_at: Moment


_STORED_FILE = DeferredAdapter(StoredFile)


class StaticFiles(Stateful):
    """The static files of all tokens."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored static files."""
        return {FILE: lambda document: strictly(_STORED_FILE, document)}

    async def purge(self, oldest: Oldest) -> None:
        """Delete old files."""

        async def discard(record: Record) -> None:
            await self._world.blobs.delete(_key(record.key))

        def is_old(record: Record) -> bool:
            return bool(record.document["created_at"] < oldest(record.credential))

        await delete_old(self._world.records, FILE, is_old, discard)


async def put_file(world: World, name: str, data: bytes, credential: str) -> None:
    """Store a static file."""
    await world.blobs.put(_key(name), data, credential)
    await world.records.put(FILE, name, credential, asdict(StoredFile(world.clock.now(credential))))


async def get_file(world: World, name: str) -> bytes | None:
    """Return a static file, or None if it does not exist."""
    return await world.blobs.get(_key(name))


async def credential_of_file(world: World, name: str) -> str | None:
    """Return the token of the call that stored a file, or None if the file does not exist."""
    return await world.blobs.credential_of(_key(name))


def _key(name: str) -> str:
    return f"metahuman/static/{name}"
