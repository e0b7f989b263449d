"""Error catalogues: tables of a vendor's errors, for routes, faults, tests and documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from string import Formatter
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Mark(StrEnum):
    """How reliable a fact about a vendor's API is."""

    CONFIRMED = "CONFIRMED"
    """Stated in the vendor's own documentation."""
    OBSERVED = "OBSERVED"
    """Seen in recorded responses, or required by real clients."""
    GUESS = "GUESS"
    """Inferred; it may be wrong."""


ONLY_BY_FAULT = "Only as an injected fault"
"""Start of the ``when`` text of an error that occurs only as an injected fault."""


@dataclass(frozen=True)
class CatalogueEntry:
    """One error of a vendor. A vendor with additional members in its error bodies uses a subclass.

    Attributes
    ----------
    name : str
        Name of the error in tests, fault rules and logs. It is unique among the vendor's errors.
    status : int
        HTTP status; 200 for an error inside a successful response.
    text : str
        The vendor's message or code, with placeholders such as ``{name}`` for the parts that vary.
    when : str
        When the vendor returns this error, as a sentence.
    mark : Mark
        How reliable the entry is.
    source : str
        Document that describes the error, and the section in it.
    causes : tuple of exception types
        Exceptions of the emulator's code that are answered with this error.
    of_task : bool
        Whether a task ends with this error, so that only polls of the task return it.
    example : mapping
        Example values for the placeholders in ``text``. An injected error uses these values.
    is_natural : bool
        Whether a client can cause the error. If false, the vendor documents the error, but the emulator
        returns it only as an injected fault.
    methods : tuple of str
        HTTP methods of the requests that cause the error; empty if these are the operation's methods.
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
    methods: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The vendor's codes for this error. A response contains one of them and the text."""
        return ()

    def occur(self, /, **places: object) -> VendorError:
        """Return an exception for this error. ``places`` has a value for each placeholder in the text.

        Raises
        ------
        KeyError
            If the value of a placeholder is missing.
        """
        return VendorError(self, places)

    def check(self, override: ErrorOverride) -> None:
        """Check that ``override`` can be applied to this entry.

        Raises
        ------
        ValueError
            If the override's text is not a valid template, or has a placeholder that the text of this entry
            does not have.
        """
        known, wanted = _places(self.text), _places(override.text or "")
        if not wanted <= known:
            strange = ", ".join(sorted(wanted - known))
            raise ValueError(f"the text for {self.name} has unknown placeholders: {strange}")


E_co = TypeVar("E_co", bound=CatalogueEntry, covariant=True)


def _places(text: str) -> set[str]:
    """Return the names of the placeholders in a text, such as ``name`` in ``{name}``."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


class ErrorOverride(BaseModel):
    """A new status or text for an error of the catalogue. None keeps the original."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int | None = Field(default=None, ge=200, le=599)
    text: str | None = None


class VendorError(Exception):
    """An error to send to the client.

    Parameters
    ----------
    entry : CatalogueEntry
        The error, as the vendor's catalogue describes it.
    places : mapping of str to object
        Values of the placeholders in the entry's text.

    Raises
    ------
    KeyError
        If the value of a placeholder is missing.
    """

    def __init__(self, entry: CatalogueEntry, places: Mapping[str, object]) -> None:
        super().__init__(entry, places)
        self.entry = entry
        self.places = places
        self.text = entry.text.format(**places)

    def overridden(self, override: ErrorOverride | None) -> VendorError:
        """Return the error with the status and text of ``override``, and with the same ``places``."""
        if override is None:
            return self
        changes = {name: value for name, value in override.model_dump().items() if value is not None}
        return VendorError(replace(self.entry, **changes), self.places)

    def __str__(self) -> str:
        return f"{self.entry.name}: {self.text}"


class ErrorCatalogue(Generic[E_co]):
    """The errors of one or more operations. Finds an error by its name, or by the exception that causes it.

    ``shared | own`` combines two catalogues. Operations can have different catalogues, so that the same
    exception causes different errors.

    Raises
    ------
    ValueError
        If two entries have the same name, or the same exception as a cause.
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
        """Return the entry for an exception. The exception's own class takes precedence over base classes.

        Raises
        ------
        LookupError
            If no entry has the exception's class, or one of its base classes, as a cause.
        """
        for cause in type(error).__mro__:
            if cause in self._by_cause:
                return self._by_cause[cause]
        raise LookupError(f"the catalogue has no error for {type(error).__name__}") from error
