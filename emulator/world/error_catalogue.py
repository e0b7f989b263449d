"""A vendor's errors as data: the table that routes, documents, faults and tests read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from string import Formatter
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Mark(StrEnum):
    """How well a fact of a vendor's contract is known."""

    CONFIRMED = "CONFIRMED"
    """The vendor's own documentation says so."""
    OBSERVED = "OBSERVED"
    """Real clients or recorded answers rely on it."""
    GUESS = "GUESS"
    """Inferred. A default that may be wrong."""


NEVER = "Never by itself"
"""Begins the sentence that says when an error that is not natural is answered."""


@dataclass(frozen=True)
class CatalogueEntry:
    """One error that a vendor can answer with. A vendor whose bodies say more subclasses it.

    Attributes
    ----------
    name : str
        Its name among this vendor's errors, for tests, fault rules and logs.
    status : int
        HTTP status; 200 where the error stands inside a successful answer.
    text : str
        What the vendor's message or code says, with ``{places}`` for what varies.
    when : str
        When it is answered, in a sentence.
    mark : Mark
        How well it is known.
    source : str
        Where it is known from: a document, and a place in it.
    causes : tuple of exception types
        The domain errors that this error stands for.
    of_task : bool
        Whether a task ends with it: then polls tell it, and it is never an answer of its own.
    example : mapping
        What may stand in the places of its text, where nothing else says so.
    is_natural : bool
        Whether a client can cause it; if not, the vendor documents it, and only a fault asks for it.
    """

    name: str
    status: int
    text: str
    when: str
    mark: Mark
    source: str
    causes: tuple[type[Exception], ...] = ()
    of_task: bool = False
    example: Mapping[str, str] = field(default_factory=dict)
    is_natural: bool = True

    @property
    def codes(self) -> tuple[str, ...]:
        """The vendor's codes for it, one of which a body gives beside its text."""
        return ()

    def occur(self, /, **places: object) -> VendorError:
        """Return this error as an exception to raise, its places filled.

        Raises
        ------
        KeyError
            If the text has a place that is not given.
        """
        return VendorError(self, places)

    def check(self, wording: Wording) -> None:
        """Raise unless ``wording`` can replace this entry's own.

        Raises
        ------
        ValueError
            If its text is no template, or has a place that this entry's text has not.
        """
        known, wanted = _places(self.text), _places(wording.text or "")
        if not wanted <= known:
            strange = ", ".join(sorted(wanted - known))
            raise ValueError(f"the text for {self.name} has places that are never filled: {strange}")


E_co = TypeVar("E_co", bound=CatalogueEntry, covariant=True)


def _places(text: str) -> set[str]:
    """Return the names of the ``{places}`` in a text."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


class Wording(BaseModel):
    """Another status or text for an error of the catalogue; what is not given stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int | None = Field(default=None, ge=200, le=599)
    text: str | None = None


class VendorError(Exception):
    """An error of a vendor's catalogue, on its way to the client, the places of its text filled.

    Raises
    ------
    KeyError
        If the text has a place that is not given.
    """

    def __init__(self, entry: CatalogueEntry, places: Mapping[str, object]) -> None:
        super().__init__(entry, places)
        self.entry = entry
        self.places = places
        self.text = entry.text.format(**places)

    def worded(self, wording: Wording | None) -> VendorError:
        """Return the error in other words; a text may use the places of the catalogue's text."""
        if wording is None:
            return self
        changes = {name: value for name, value in wording.model_dump().items() if value is not None}
        return VendorError(replace(self.entry, **changes), self.places)

    def __str__(self) -> str:
        return f"{self.entry.name}: {self.text}"


class ErrorCatalogue(Generic[E_co]):
    """The errors of an operation, or of several: by name, and by the domain error that causes them.

    ``shared | own`` is the catalogue of an operation that answers both. Operations with catalogues of
    their own may answer one cause with different errors.

    Raises
    ------
    ValueError
        If two entries share a name or a cause.
    """

    def __init__(self, entries: Iterable[E_co] = ()) -> None:
        self._by_name: dict[str, E_co] = {}
        self._by_cause: dict[type[BaseException], E_co] = {}
        for entry in entries:
            if entry.name in self._by_name:
                raise ValueError(f"two errors are named {entry.name}")
            self._by_name[entry.name] = entry
            for cause in entry.causes:
                if cause in self._by_cause:
                    raise ValueError(f"{cause.__name__} is mapped twice")
                self._by_cause[cause] = entry

    def __or__(self, other: ErrorCatalogue[E_co]) -> ErrorCatalogue[E_co]:
        """Return a catalogue with the entries of both."""
        return ErrorCatalogue([*self, *other])

    def only(self, *names: str) -> ErrorCatalogue[E_co]:
        """Return a catalogue with the entries of these names."""
        return ErrorCatalogue([self[name] for name in names])

    def __iter__(self) -> Iterator[E_co]:
        """Iterate over the entries in the table's order."""
        return iter(self._by_name.values())

    def __contains__(self, name: object) -> bool:
        """Return whether there is an entry of that name."""
        return name in self._by_name

    def __getitem__(self, name: str) -> E_co:
        """Return the entry of that name."""
        return self._by_name[name]

    def for_cause(self, error: Exception) -> E_co:
        """Return the entry for a domain error; an entry for its own class goes before one for a base.

        Raises
        ------
        LookupError
            If the catalogue has no entry for it.
        """
        for cause in type(error).__mro__:
            if cause in self._by_cause:
                return self._by_cause[cause]
        raise LookupError(f"no error of the catalogue stands for {type(error).__name__}") from error
