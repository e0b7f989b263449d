"""``Stateful``, the base class of objects with state that can be loaded, validated and deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Mapping[str, Any]], object]
"""A function that raises ValueError, TypeError or LookupError if a stored document is invalid."""


Oldest = Callable[[str], float]
"""Returns the time, by the clock of a credential, before which old state of the credential is deleted."""


class Stateful:
    """State that belongs to credentials, in memory or in the database.

    By default, each method does nothing. A subclass defines the methods that it needs.
    """

    @property
    def checks(self) -> Mapping[str, Check]:
        """A validator for each kind of stored document. A snapshot with an invalid document is refused."""
        return {}

    async def load(self) -> None:
        """Read the state from the database into memory, at startup and after a restore."""

    async def forget(self, credential: str | None) -> None:
        """Delete the state of ``credential``, or all state if it is None.

        The caller may have already deleted the documents in the database.
        """

    async def purge(self, oldest: Oldest) -> None:
        """Delete finished state that is older than ``oldest`` of its credential."""
