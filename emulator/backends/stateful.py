"""The base class of everything that has state: it can be loaded, checked and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Mapping[str, Any]], object]
"""Raises ValueError, TypeError or LookupError if a document is invalid."""


class Stateful:
    """State of credentials, in memory or in the records.

    By default, each method does nothing. A class only defines the methods that it needs.
    """

    @property
    def checks(self) -> Mapping[str, Check]:
        """Checks by kind of record. A snapshot is only restored if its documents pass them."""
        return {}

    async def load(self) -> None:
        """Read the records into memory, at startup and after a restore."""

    async def forget(self, credential: str | None) -> None:
        """Delete the state of a credential, or all state. The records may be deleted already."""
