"""Tasks in the database: ``TaskStore``, and the checks of stored tasks."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from emulator.backends.records import Record, Records, Replace
from emulator.backends.records.purge import BATCH
from emulator.backends.stateful import Stored, bare_url, require, strictly
from emulator.tasks.job import Job
from emulator.tasks.task import STORED, Task, TaskState, check_state, start

KIND: Final = "task"

MOST_STARTS: Final = 100
"""Number of starts to record in one transaction."""

MOST_PARSED: Final = 1000
"""Number of parsed tasks to keep in memory, because clients poll the same task again and again."""


class TaskStore:
    """Finds and changes the stored tasks."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._parsed: OrderedDict[str, tuple[Mapping[str, Any], Task]] = OrderedDict()

    async def find(self, task_id: str, credential: str | None = None) -> Task | None:
        """Return a task, or None if it does not exist or belongs to another credential."""
        found = await self.read(task_id)
        return None if found is None or credential not in {None, found[0].credential} else found[1]

    async def read(self, task_id: str) -> tuple[Record, Task] | None:
        """Return the record of a task, and the task in it, or None if it does not exist."""
        record = await self._records.get(KIND, task_id)
        if record is None:
            return None
        parsed = self._parsed.get(task_id)
        if parsed is not None and parsed[0] is record.document:
            return record, parsed[1]
        task = Task.from_document(record.document)
        self._keep(record.document, task)
        return record, task

    def document_of(self, task: Task) -> Mapping[str, Any]:
        """Return a task as a JSON object. Once this object is stored, reads return ``task``."""
        document = task.to_document()
        self._keep(document, task)
        return document

    def _keep(self, document: Mapping[str, Any], task: Task) -> None:
        self._parsed[task.id] = document, task
        if len(self._parsed) > MOST_PARSED:
            self._parsed.popitem(last=False)

    async def list(self, credential: str | None = None, *, unfinished: bool = False) -> list[Task]:
        """Return the tasks of ``credential``, or of all credentials, in the order of creation.

        With ``unfinished``, leave out those that have succeeded or failed.
        """
        records = await self._records.find(KIND, credential, unset="finished_at" if unfinished else None)
        found: list[Task] = []
        for number, record in enumerate(records):
            if number % BATCH == BATCH - 1:
                await asyncio.sleep(0)
            found.append(Task.from_document(record.document))
        return found

    async def count(self) -> dict[TaskState, int]:
        """Return the number of tasks in each state, of all credentials."""
        found = await self._records.tally(KIND, "state")
        return {state: found.get(state, 0) for state in TaskState}

    async def change(self, task_id: str, change: Callable[[Task], Task]) -> Task | None:
        """Apply ``change`` to a task. Return the changed task, or None if it was deleted."""
        # ``replace`` fails if the task was changed concurrently. In this case, try again.
        while (found := await self.read(task_id)) is not None:
            record, before = found
            after = change(before)
            if after == before or await self._records.replace(KIND, record, self.document_of(after)):
                return after
        return None

    async def record_starts(self, started: Sequence[Task]) -> None:
        """Record that tasks have started, except those whose work is already done."""
        for first in range(0, len(started), MOST_STARTS):
            some = started[first : first + MOST_STARTS]
            changes = [change for each in some if (change := await self._starting(each)) is not None]
            if changes and not await self._records.write(changes):
                # One of the tasks was changed concurrently.
                for each in some:
                    while (change := await self._starting(each)) and not await self._records.write([change]):
                        pass

    async def _starting(self, started: Task) -> Replace | None:
        """Return the change that records a start, or None if it is recorded, or the work is done."""
        found = await self.read(started.id)
        if found is None or found[1].is_performed or found[1].started_at == started.started_at:
            return None
        record, before = found
        return Replace(KIND, record, self.document_of(start(before, started.started_at or 0.0)))


def check_document(jobs: Mapping[str, Job], document: Mapping[str, Any]) -> None:
    """Check a stored task. Raise ValueError if it is invalid, or none of the ``jobs`` performs it."""
    task = Task.from_document(document)
    if task.kind not in jobs:
        raise ValueError(f"no job performs {task.kind!r}")
    strictly(STORED, document)
    check_state(task)
    check = jobs[task.kind].check
    if check is not None:
        check(task)


def check_entry(entry: Stored) -> None:
    """Check the key and the credential of a stored task. Raise ValueError if they are invalid."""
    task = Task.from_document(entry.document)
    require((task.id, task.credential) == (entry.key, entry.credential), "the id must be the key")


def without_secrets(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a stored task without the secret parts of the URLs in its request."""
    request = {
        name: bare_url(value) if isinstance(value, str) and "://" in value else value
        for name, value in document["request"].items()
    }
    body = request.get("body")
    if isinstance(body, dict):
        urls = {name: bare_url(value) for name, value in body.items() if "://" in str(value)}
        request["body"] = {**body, **urls}
    return {**document, "request": request}
