"""``Stateful``, the base class of objects with state that can be loaded, validated and deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import TypeAdapter

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


def strictly(adapter: TypeAdapter[T], document: Mapping[str, Any]) -> T:
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
