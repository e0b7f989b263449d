"""``Stateful``, the base class of objects with state that can be loaded, validated and deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from emulator.deferral import DeferredAdapter

T = TypeVar("T")

Check = Callable[[Mapping[str, Any]], object]
"""A function that raises ValueError, TypeError or LookupError if a stored document is invalid."""


class Stored(Protocol):
    """A stored document with its key and its credential."""

    @property
    def key(self) -> str:
        """The key of the document."""

    @property
    def credential(self) -> str:
        """The credential that the document belongs to."""

    @property
    def document(self) -> Mapping[str, Any]:
        """The document."""


EntryCheck = Callable[[Stored], object]
"""A ``Check`` of a stored document together with its key and its credential."""

Oldest = Callable[[str], float]
"""Takes a credential, and returns a time by its clock. State from before this time is deleted."""


class Stateful:
    """State that belongs to credentials, in memory or in the database.

    By default, each method does nothing. A subclass defines the methods that it needs.
    """

    @property
    def checks(self) -> Mapping[str, Check]:
        """A validator for each kind of stored document. A snapshot with an invalid document is refused."""
        return {}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """Further validators, which also need the key or the credential of a stored document."""
        return {}

    @property
    def secret_keys(self) -> Collection[str]:
        """Kinds of documents whose keys are secrets."""
        return ()

    def without_secrets(self, kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a document of a kind in ``checks`` without its secrets, except credentials."""
        del kind
        return document

    async def load(self) -> None:
        """Read the state from the database into memory, at startup and after a restore."""

    async def forget(self, credential: str | None) -> None:
        """Delete the state of ``credential``, or all state if it is None.

        The caller may have already deleted the documents in the database.
        """

    async def purge(self, oldest: Oldest) -> None:
        """Delete finished state from before the time that ``oldest`` returns for its credential."""


class DeferredState(Stateful):
    """State with nothing to load, so that the start does not need the code for it.

    Parameters
    ----------
    make : () -> Stateful
        Makes the object that checks and deletes the state. Called once, when that is first needed.
    """

    def __init__(self, make: Callable[[], Stateful]) -> None:
        self._make = make

    @cached_property
    def _state(self) -> Stateful:
        return self._make()

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validators of the stored documents."""
        return self._state.checks

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The validators that also need the key or the credential of a stored document."""
        return self._state.entry_checks

    @property
    def secret_keys(self) -> Collection[str]:
        """Kinds of documents whose keys are secrets."""
        return self._state.secret_keys

    def without_secrets(self, kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a document without its secrets."""
        return self._state.without_secrets(kind, document)

    async def forget(self, credential: str | None) -> None:
        """Delete the state of ``credential``, or all state if it is None."""
        await self._state.forget(credential)

    async def purge(self, oldest: Oldest) -> None:
        """Delete finished state that is older than ``oldest`` of its credential."""
        await self._state.purge(oldest)


def strictly(adapter: DeferredAdapter[T], document: Mapping[str, Any]) -> T:
    """Validate a stored document without conversions between types, such as from text to a number.

    Raises
    ------
    ValueError
        If the document is invalid.
    """
    return adapter.validate_json(json.dumps(document), strict=True)


def require(holds: object, what: str) -> None:
    """Raise ValueError if a condition on a stored document does not hold. ``what`` is the condition."""
    if not holds:
        raise ValueError(what)


def belongs_to_its_key(entry: Stored) -> None:
    """Check that the key of a document is its credential."""
    require(entry.key == entry.credential, "the key must be the credential")


def bare_url(url: str) -> str:
    """Return a URL without the parts that can contain secrets: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "http://hidden.invalid/"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
