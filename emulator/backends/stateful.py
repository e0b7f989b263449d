"""The base class of objects with state that can be loaded, validated and deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Mapping[str, Any]], object]
"""Raises ValueError, TypeError or LookupError if a document is invalid."""


class Stateful:
    """State that belongs to credentials, in memory or in the records.

    By default, each method does nothing. A class only defines the methods that it needs.
    """

    @property
    def checks(self) -> Mapping[str, Check]:
        """Validators of stored documents, by kind. A snapshot is restored only if its documents are valid."""
        return {}

    async def load(self) -> None:
        """Read the records into memory, at startup and after a restore."""

    async def forget(self, credential: str | None) -> None:
        """Delete the state of ``credential``, or all state. Its records may be deleted already."""
