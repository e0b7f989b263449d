"""The documents in which the database keeps the calls of the journal.

A document has the calls that were written together. A server that does not share its database numbers the
calls before it writes them. If servers share the database, the database draws the numbers: a new document
gets the next ``count`` numbers, up to ``last``, and the calls in the document are numbered from 1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Protocol, Self, TypeVar

from pydantic import BaseModel, Field, model_validator

from emulator.backends.stateful import Stored, bare_url, require, strictly
from emulator.clock import ALL_CREDENTIALS, Count, Moment
from emulator.deferral import DeferredAdapter
from emulator.world.journal.entry import Entry, LazyCall

KIND: Final = "journal"
"""Kind of the documents."""

REVISION_KEY: Final = "0"
"""Key of the document whose ``revision`` changes when calls of a shared journal are deleted on request. Its
``overrun`` is the number of the last call that was deleted because of a limit. It has no calls."""

CHUNK: Final = 100
"""Largest number of calls in one document."""

CHUNK_BYTES: Final = 256 * 1024
"""Number of bytes of calls after which a document is full."""

URL = re.compile(r"https?://[^\s\"'<>\\]+")
"""A URL in a text."""


class _Sized(Protocol):
    """Something that takes memory."""

    @property
    def held_bytes(self) -> int:
        """Number of bytes."""


C = TypeVar("C", bound=_Sized)


class _Described(BaseModel):
    """A file or other binary data in a stored call."""

    bytes: Count
    sha256: str
    file_name: str | None = None
    content_type: str | None = None


_Field = str | _Described


class _Body(BaseModel):
    """A body in a stored call."""

    kind: Literal["json", "form", "multipart", "text", "binary"]
    bytes: Count
    text: str | None = None
    sha256: str | None = None
    fields: dict[str, _Field | list[_Field]] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        is_form = self.kind in {"form", "multipart"}
        require((self.fields is not None) is is_form, "only a form has fields")
        require((self.text is not None) is (self.kind == "text"), "only a text body has a text")
        require((self.sha256 is not None) is (self.kind == "binary"), "only binary data has a digest")
        return self


class _Fault(BaseModel):
    """The fault of a stored call."""

    source: str
    effect: dict[str, Any]


class _StoredCall(BaseModel):
    """The parts of a stored call that ``Entry`` does not describe exactly."""

    number: Annotated[Count, Field(ge=1)]
    status: Annotated[int, Field(ge=100, le=599)] | None
    started_at: Moment
    real_started_at: Moment
    duration_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    sent: _Body | None
    answer: _Body | None
    fault: _Fault | None
    warnings: list[_StoredWarning]


class _StoredWarning(BaseModel):
    """A warning of a stored call."""

    code: str
    detail: str
    count: Annotated[Count, Field(ge=1)] = 1


@dataclass(frozen=True)
class _Chunk:
    """A document.

    ``last`` is the number of the newest call at the time of writing. ``overrun`` is the number of the last
    call that was deleted because of a limit. ``count`` says how many call numbers the document uses. The
    first ``dropped`` of them belong to calls that were deleted before they could be written.
    """

    last: int
    calls: list[Entry]
    overrun: int = 0
    count: int | None = None
    dropped: int = 0
    revision: str | None = None


CHUNKS = DeferredAdapter(_Chunk)

_STORED_CALL = DeferredAdapter(_StoredCall)

MOST_NUMBERS: Final = 2**53


def check_chunk(entry: Stored) -> None:
    """Check a stored document of the journal and its key. Raise ValueError if they are invalid."""
    document = entry.document
    require(entry.credential == ALL_CREDENTIALS, "calls belong to no credential")
    for call in document["calls"]:
        strictly(_STORED_CALL, call)
    members = [document["last"], *(document.get(name, 0) for name in ("overrun", "count", "dropped"))]
    require(all(type(each) is int for each in members), "the numbers must be integers")
    last, overrun, count, dropped = members
    numbers = [call["number"] for call in document["calls"]]
    require(numbers == sorted(set(numbers)), "the calls must be in order")
    require(0 <= overrun <= MOST_NUMBERS, "the number of the last deleted call is out of range")
    require(0 <= last <= MOST_NUMBERS, "the number of the last call is out of range")
    if "count" in document:
        require(0 <= dropped <= count <= last, "the number of calls is out of range")
        require(all(dropped < number <= count for number in numbers), "the number of a call is out of range")
    elif "revision" in document:
        require(entry.key == REVISION_KEY and not numbers, "a revision has no calls")
    else:
        require(max([0, *numbers]) <= last, "the number of the last call is out of range")
        require(entry.key == str(newest(document)), "the key must be the number of the last call")


def newest(document: Mapping[str, Any]) -> int:
    """Return the number of the last call in a document, or the document's ``last`` if it has no calls."""
    last: int = document["last"]
    return _first(document) + int(document["calls"][-1]["number"]) if document["calls"] else last


def dropped(document: Mapping[str, Any]) -> int:
    """Return the number of the last call that was deleted before a document was written, or 0."""
    return _first(document) + int(document["dropped"]) if document.get("dropped") else 0


def stored_calls(document: Mapping[str, Any]) -> list[LazyCall]:
    """Return the calls in a document. Their entries are parsed on access."""
    first = _first(document)
    return [_stored_call(call, first + call["number"]) for call in document["calls"]]


def chunks(calls: Sequence[C]) -> Iterator[list[C]]:
    """Yield the calls of each document: at most ``CHUNK``, and at most ``CHUNK_BYTES`` plus one call."""
    part: list[C] = []
    size = 0
    for call in calls:
        part.append(call)
        size += call.held_bytes
        if len(part) == CHUNK or size >= CHUNK_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def without_secrets(value: Any) -> Any:
    """Return a JSON value whose URLs have no user, password, query and fragment."""
    if isinstance(value, str):
        return URL.sub(lambda found: bare_url(found[0]), value) if "://" in value else value
    if isinstance(value, dict):
        return {name: without_secrets(member) for name, member in value.items()}
    return [without_secrets(each) for each in value] if isinstance(value, list) else value


def _first(document: Mapping[str, Any]) -> int:
    """Return the number to add to the numbers of the calls in a document."""
    return document["last"] - document["count"] if document.get("count") is not None else 0


def _stored_call(call: Mapping[str, Any], number: int) -> LazyCall:
    text = json.dumps(call)
    return LazyCall(number, call["exact_credential"], len(text) + 200, _reading(text), call["started_at"])


def _reading(text: str) -> Callable[[int], Entry]:
    """Return a function that builds the entry of a stored call."""
    return lambda number: Entry.model_validate({**json.loads(text), "number": number})
