"""``Runs``, the stored progress of the tasks that follow a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from emulator.backends.records import Record, Records
from emulator.world.plans.run import Run

KIND = "plan/run"


class Runs:
    """The runs of all tasks, by task id.

    All replicas change a run by compare-and-swap, and can wait for its changes.

    Parameters
    ----------
    records
        Storage of the runs.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._next: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        records.listen(KIND, self._on_change)

    async def get(self, task_id: str) -> tuple[Record, Run] | None:
        """Return a run and the record that it is stored in, or None."""
        record = await self._records.get(KIND, task_id)
        return None if record is None else (record, Run.from_document(record.document))

    async def all(self, credential: str | None = None) -> list[tuple[Record, Run]]:
        """Return the runs of ``credential``, or of all credentials, the oldest first."""
        found = await self._records.find(KIND, credential)
        return [(record, Run.from_document(record.document)) for record in found]

    async def unfinished(self) -> list[tuple[Record, Run]]:
        """Return the runs that are not over."""
        found = await self._records.find(KIND, unset="over")
        return [(record, Run.from_document(record.document)) for record in found]

    async def change(
        self, task_id: str, change: Callable[[Run], Run], serial: int | None = None
    ) -> Run | None:
        """Apply ``change`` to a run. Return the changed run, or None if it was deleted.

        With ``serial``, a run in a record with another number counts as deleted.
        """
        while (found := await self.get(task_id)) is not None:
            record, before = found
            if serial not in {None, record.serial}:
                return None
            after = change(before)
            if after == before:
                return after
            if await self._records.replace(KIND, record, after.to_document()):
                self.wake(task_id)
                return after
        return None

    async def delete(self, task_id: str) -> None:
        """Delete a run."""
        await self._records.delete(KIND, task_id)
        self.wake(task_id)

    def next_change(self, task_id: str) -> asyncio.Event:
        """Return an event that is set at the next change of a run, by any replica."""
        return self._next.setdefault(task_id, asyncio.Event())

    def wake(self, task_id: str | None = None) -> None:
        """Wake all coroutines that wait for a change of a run, or of any run if ``task_id`` is None."""
        for key in list(self._next) if task_id is None else [task_id]:
            event = self._next.pop(key, None)
            if event is not None:
                event.set()

    async def _on_change(self, task_id: str | None) -> None:
        self.wake(task_id)
