"""The errors of a vendor as a table, which routes, documentation, faults and tests read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from string import Formatter
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Mark(StrEnum):
    """How reliable a fact of a vendor's contract is."""

    CONFIRMED = "CONFIRMED"
    """Stated in the vendor's own documentation."""
    OBSERVED = "OBSERVED"
    """Seen in recorded responses, or relied on by real clients."""
    GUESS = "GUESS"
    """Inferred; it may be wrong."""


ONLY_BY_FAULT = "Only if a fault asks for it"
"""Start of ``when`` for an error that is not natural."""


@dataclass(frozen=True)
class CatalogueEntry:
    """One error of a vendor. A vendor whose error bodies have more members subclasses it.

    Attributes
    ----------
    name : str
        Name, unique among the vendor's errors, for tests, fault rules and logs.
    status : int
        HTTP status; 200 for an error inside a successful response.
    text : str
        The vendor's message or code, with ``{places}`` for the parts that vary.
    when : str
        When the vendor answers with it, as a sentence.
    mark : Mark
        How reliable the entry is.
    source : str
        Where the entry comes from: a document, and a place in it.
    causes : tuple of exception types
        The domain errors that lead to this error.
    of_task : bool
        Whether a task ends with it. Then polls report it, and no call is answered with it directly.
    example : mapping
        Values for the places of its text, for use where no real values are known.
    is_natural : bool
        Whether a client can cause it. If not, the vendor documents it, but only a fault produces it.
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
        """The vendor's codes for it. A body contains one of them, in addition to the text."""
        return ()

    def occur(self, /, **places: object) -> VendorError:
        """Return this error as an exception to raise, with the places filled.

        Raises
        ------
        KeyError
            If the value of a place is missing.
        """
        return VendorError(self, places)

    def check(self, override: ErrorOverride) -> None:
        """Check that ``override`` can replace this entry's own.

        Raises
        ------
        ValueError
            If its text is not a valid template, or has a place that this entry's text does not have.
        """
        known, wanted = _places(self.text), _places(override.text or "")
        if not wanted <= known:
            strange = ", ".join(sorted(wanted - known))
            raise ValueError(f"the text for {self.name} has places that are never filled: {strange}")


E_co = TypeVar("E_co", bound=CatalogueEntry, covariant=True)


def _places(text: str) -> set[str]:
    """Return the names of the ``{places}`` in a text."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


class ErrorOverride(BaseModel):
    """Another status or text for an error of the catalogue. An omitted member stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int | None = Field(default=None, ge=200, le=599)
    text: str | None = None


class VendorError(Exception):
    """An error of a vendor's catalogue to send to the client, with its places filled.

    Raises
    ------
    KeyError
        If the value of a place is missing.
    """

    def __init__(self, entry: CatalogueEntry, places: Mapping[str, object]) -> None:
        super().__init__(entry, places)
        self.entry = entry
        self.places = places
        self.text = entry.text.format(**places)

    def overridden(self, override: ErrorOverride | None) -> VendorError:
        """Return the error with another status or text, which may use the places of the original text."""
        if override is None:
            return self
        changes = {name: value for name, value in override.model_dump().items() if value is not None}
        return VendorError(replace(self.entry, **changes), self.places)

    def __str__(self) -> str:
        return f"{self.entry.name}: {self.text}"


class ErrorCatalogue(Generic[E_co]):
    """The errors of one or more operations, by name and by the domain error that causes them.

    ``shared | own`` is the catalogue of an operation that can answer both. Different operations may answer
    the same cause with different errors, if they have different catalogues.

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
        """Return a catalogue with only the entries of these names."""
        return ErrorCatalogue([self[name] for name in names])

    def __iter__(self) -> Iterator[E_co]:
        """Iterate over the entries in the order of their definition."""
        return iter(self._by_name.values())

    def __contains__(self, name: object) -> bool:
        """Return whether there is an entry of that name."""
        return name in self._by_name

    def __getitem__(self, name: str) -> E_co:
        """Return the entry of that name."""
        return self._by_name[name]

    def for_cause(self, error: Exception) -> E_co:
        """Return the entry for a domain error. An entry for its class takes precedence over one for a base.

        Raises
        ------
        LookupError
            If the catalogue has no entry for it.
        """
        for cause in type(error).__mro__:
            if cause in self._by_cause:
                return self._by_cause[cause]
        raise LookupError(f"the catalogue has no error for {type(error).__name__}") from error
