"""A journal without a server, and calls for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock, Setting
from emulator.world.journal.entry import Entry
from emulator.world.journal.journal import Journal
from emulator.world.redaction import mask

T = TypeVar("T", bound=SqliteRecords)


def in_journal(
    path: Path,
    test: Callable[[Journal, T], Awaitable[None]],
    calls: int = 10,
    kind: type[T] = SqliteRecords,  # type: ignore[assignment]  # the default of the type variable
) -> None:
    """Run ``test`` with a journal whose records are of the class ``kind``."""

    async def run() -> None:
        records = kind(path / "records.sqlite3")
        await records.open()
        journal = Journal(records, Clock(), calls=calls, size=10**9, survives=True)
        await journal.load()
        await test(journal, records)
        await records.close()

    asyncio.run(run())


def note(journal: Journal, credential: str = "k", numbered: Callable[[int], None] | None = None) -> None:
    """Record a call."""

    def make(number: int, setting: Setting) -> Entry:
        return Entry(
            number=number,
            vendor="v",
            operation="o",
            credential=mask(credential),
            exact_credential=credential,
            method="GET",
            path="/a",
            url="http://here",
            query=[],
            request_headers=[],
            sent=None,
            status=200,
            is_complete=True,
            response_headers=[],
            answer=None,
            started_at=setting.at(1.0),
            real_started_at=1.0,
            duration_ms=1.0,
            fault=None,
            warnings=[],
        )

    journal.note(credential, 1000, make, numbered)
