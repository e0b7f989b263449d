"""The route for the ledgers, which list the facts of the vendors' contracts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Annotated

import anyio
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from emulator.web.vendor import Vendor
from emulator.world.error_catalogue import Mark

CELL = re.compile(r"(?<!\\)\|")
"""The end of a cell of a table. A cell can contain an escaped ``|``."""


class Fact(BaseModel):
    """A behaviour of a vendor's API that the emulator copies."""

    vendor: str = Field(description="Name of the vendor.")
    section: str = Field(description="Section of the ledger.")
    fact: str = Field(description="The fact, in Markdown.")
    mark: Mark = Field(
        description="How well the fact is known: `CONFIRMED` (stated in the vendor's documentation), "
        "`OBSERVED` (seen in responses or real clients) or `GUESS` (inferred)."
    )
    source: str = Field(description="Document or recording that the fact comes from, in Markdown.")
    test: str = Field(description="Test of the emulator that checks the fact, in Markdown.")


def ledger_router(vendors: Sequence[Vendor]) -> APIRouter:
    """Return the route for the ledgers."""
    router = APIRouter(tags=["contracts"])

    @router.get("/ledger")
    async def get_ledger(
        vendor: Annotated[
            str | None, Query(description="Only facts of this vendor; omit it for all vendors.")
        ] = None,
        mark: Annotated[Mark | None, Query(description="Only facts with this mark; omit it for all.")] = None,
    ) -> list[Fact]:
        """List what is known about each vendor's API.

        Each fact is a behaviour of an API, with its source, its test, and a mark that says how well it is
        known.
        """
        found: list[Fact] = []
        for each in vendors:
            if vendor in {None, each.name}:
                facts = await anyio.to_thread.run_sync(_facts, each.package)
                found += [fact for fact in facts if mark in {None, fact.mark}]
        return found

    return router


@cache
def _facts(package: str) -> tuple[Fact, ...]:
    """Return the facts of a vendor's ledger, which is empty if the vendor has none."""
    file = resources.files(package).joinpath("contract.md")
    return tuple(read_facts(package.rpartition(".")[2], file.read_text("utf-8"))) if file.is_file() else ()


def read_facts(vendor: str, ledger: str) -> Iterator[Fact]:
    """Yield the rows of a ledger's tables that have a mark."""
    section = ""
    columns: list[str] = []
    for line in ledger.splitlines():
        if line.startswith("#"):
            section, columns = line.strip("# "), []
        elif line.startswith("|"):
            cells = [cell.strip() for cell in CELL.split(line)[1:-1]]
            if not columns:
                columns = cells
            row = dict(zip(columns, cells, strict=False))
            if row.get("mark") in set(Mark):
                yield Fact(
                    vendor=vendor,
                    section=section,
                    fact=cells[0],
                    mark=Mark(row["mark"]),
                    source=row.get("source", ""),
                    test=row.get("test", ""),
                )
        else:
            columns = []
