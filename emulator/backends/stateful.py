"""Everything that keeps state has the same three sides: load it, check it, forget it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Mapping[str, Any]], object]
"""Raises ValueError, TypeError or LookupError if a document is not what its kind should be."""


class Stateful:
    """Something that keeps state of credentials, in memory or in the records.

    Each method does nothing by default, so that a class defines only those it needs.
    """

    @property
    def checks(self) -> Mapping[str, Check]:
        """Checks by kind of record: a snapshot is only restored if its documents pass them."""
        return {}

    async def load(self) -> None:
        """Read the records into memory: at the start, and after a restore."""

    async def forget(self, credential: str | None) -> None:
        """Drop what belongs to a credential, or everything; its records are deleted already or now."""
