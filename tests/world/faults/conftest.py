"""Two vendors that have only errors and operations, and their faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, Mark
from emulator.world.faults.engine import Faults
from emulator.world.operation import Example, Operation

NOW = 1000.0


def _entry(name: str, *, of_task: bool = False) -> CatalogueEntry:
    return CatalogueEntry(name, 400, name, "Sometimes.", Mark.GUESS, "nowhere", of_task=of_task)


@dataclass(frozen=True)
class Acme:
    """The part of a vendor that faults need."""

    name: str
    operations: Mapping[str, Operation]
    errors: Mapping[str, CatalogueEntry]
    has_webhooks: bool


def _contract(
    name: str,
    errors: list[CatalogueEntry],
    operations: Mapping[str, tuple[str, ...]],
    task: str | None = None,
    picture: str | None = None,
) -> Acme:
    known = ErrorCatalogue(errors)
    return Acme(
        name,
        {
            operation: Operation(
                name=operation,
                methods=("POST",),
                paths=(f"/{operation}",),
                endpoint=lambda: None,
                errors=known.only(*names),
                example=Example(),
                takes_picture=operation == picture,
                task=operation if operation == task else None,
            )
            for operation, names in operations.items()
        },
        {entry.name: entry for entry in known},
        task is not None,
    )


CONTRACTS = {
    "acme": _contract(
        "acme",
        [_entry("broke"), _entry("lost"), _entry("no_face", of_task=True)],
        {"create": ("broke", "no_face"), "check": ("broke", "lost"), "upload": ("broke",)},
        task="create",
        picture="upload",
    ),
    "other": _contract("other", [_entry("broke"), _entry("shut")], {"call": ("broke", "shut")}),
}


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Return a function that runs scenarios in order, with records that survive to its next call."""

    def play(*scenarios: Callable[[Faults, Clock], Awaitable[None]], in_band: bool = True) -> None:
        async def run() -> None:
            records, clock = SqliteRecords(tmp_path / "records.sqlite3"), Clock(NOW)
            await records.open()
            try:
                faults = Faults(records, clock, CONTRACTS, in_band=in_band)
                await faults.load()
                for scenario in scenarios:
                    await scenario(faults, clock)
            finally:
                await records.close()

        asyncio.run(run())

    return play
