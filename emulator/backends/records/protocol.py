"""The protocol of a database for documents and counters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Record(NamedTuple):
    """A document from the database, with its version at the time when it was read.

    Attributes
    ----------
    key, credential : str
        Key of the document, and the credential that the document belongs to.
    document : mapping
        A JSON object.
    serial : int
        Unique number of the document. A document that is deleted and created again gets a new number.
    version : int
        Version number of the document. It increases with every change.
    """

    key: str
    credential: str
    document: Mapping[str, Any]
    serial: int
    version: int


@dataclass(frozen=True)
class Document:
    """A document, as ``export`` returns it."""

    kind: str
    key: str
    credential: str
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Counter:
    """A counter, as ``export`` returns it. ``value`` is the last number that ``count_up`` returned."""

    name: str
    credential: str
    value: int


class Create(NamedTuple):
    """Stores a new document. If the key exists, `Records.write` raises KeyError."""

    kind: str
    key: str
    credential: str
    document: Mapping[str, Any]

    @property
    def place(self) -> tuple[str, str]:
        """The kind and the key of the document."""
        return self.kind, self.key


class Put(NamedTuple):
    """Stores a document, and replaces any existing document of the same kind and key."""

    kind: str
    key: str
    credential: str
    document: Mapping[str, Any]

    @property
    def place(self) -> tuple[str, str]:
        """The kind and the key of the document."""
        return self.kind, self.key


class Replace(NamedTuple):
    """Stores ``document`` instead of ``record``, which must not have changed since it was read."""

    kind: str
    record: Record
    document: Mapping[str, Any]

    @property
    def place(self) -> tuple[str, str]:
        """The kind and the key of the document."""
        return self.kind, self.record.key


class Remove(NamedTuple):
    """Deletes ``record``, which must not have changed since it was read."""

    kind: str
    record: Record

    @property
    def place(self) -> tuple[str, str]:
        """The kind and the key of the document."""
        return self.kind, self.record.key


class CountUp(NamedTuple):
    """Adds ``by`` to a counter of a credential, whose new value must not be higher than ``most``.

    Several processes can do this at the same time. None of them must start again because of another one.
    """

    name: str
    credential: str
    by: int = 1
    most: int | None = None


class CountTo(NamedTuple):
    """Raises a counter of a credential to ``value``, unless it is already higher."""

    name: str
    credential: str
    value: int


class Enqueue(NamedTuple):
    """Adds a task to the queue, if the queue is in the same database.

    ``waits`` is true if the task mostly waits for other servers. Many such tasks can run at once.
    """

    task_id: str
    waits: bool = False


Change = Create | Put | Replace | Remove | CountUp | CountTo | Enqueue
"""A change that `Records.write` makes together with others."""

Heard = Callable[[str | None], Awaitable[None]]
"""Called with the key of a document that may have changed, or with None if any document may have changed."""


Written = Callable[[str, str, Record | None], None]
"""Called with the kind and the key of a document that was written, and with its record, or None if it was
deleted."""


class StoreUnreadable(Exception):
    """The stored data is damaged, has another format, or was not written by the emulator."""

    def __init__(
        self, place: str, reason: str, remedy: str = "choose another folder, or move this one elsewhere"
    ) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.place} cannot be used: {self.reason}; {self.remedy}"


class Records(Protocol):
    """A database for documents of several kinds, and for counters.

    A document is a JSON object. Each document or counter belongs to a credential, or to none (""). A key is
    unique among all documents of a kind, across credentials. A name is unique among the counters of a
    credential. Every call is atomic. A database that cannot be used now raises StoreUnavailable.

    Other processes, called replicas, can use the same database, if the database supports this.
    """

    @property
    def is_shared(self) -> bool:
        """Whether other processes can use the database at the same time."""

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a new document, and return it.

        Raises
        ------
        KeyError
            If the key already exists.
        """

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a document, replace any existing document of the same kind and key, and return it."""

    async def append(
        self, kind: str, key: str, credential: str, document: Mapping[str, Any], by: int = 1
    ) -> Record:
        """Store a new document, give it the next ``by`` numbers of its kind, and return the record.

        The member ``last`` of the stored document is the highest of these numbers. The numbers of a kind
        begin at 1. No number is used twice, not even after `forget`. `restore` continues above the highest
        ``last`` of the restored documents. With ``by=0``, ``last`` is the last number that was used.

        Appended documents become visible in the order of their numbers and serial numbers. A reader that
        finds a document has not missed an appended document with a lower number.

        Raises
        ------
        KeyError
            If the key already exists. In this case, no numbers are used up.
        """

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> Record | None:
        """Store ``document`` instead of ``record``, and return the new record.

        Return None, and change nothing, if the stored document was changed or deleted since ``record`` was
        read.
        """

    async def write(self, changes: Sequence[Change]) -> bool:
        """Make all changes in one transaction, and return whether this succeeded.

        Return False, and change nothing, if a document to replace or to remove was changed or deleted since
        it was read, or if a counter would become too high.

        Raises
        ------
        KeyError
            If the key of a document to create already exists. In this case, nothing is changed.
        """

    async def find(
        self, kind: str, credential: str | None = None, *, after: int = 0, unset: str | None = None
    ) -> list[Record]:
        """Return the documents of a kind, oldest first, of ``credential`` or of all credentials.

        Parameters
        ----------
        after : int
            Only documents with higher serial numbers are returned.
        unset : str, optional
            Only documents in which this member is null or missing are returned.
        """

    async def tally(self, kind: str, member: str) -> dict[str, int]:
        """Return the number of documents of a kind for each value of a string member."""

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether it existed."""

    async def count_up(self, name: str, credential: str = "", by: int = 1) -> int:
        """Add ``by`` to a counter of a credential, which begins at 0, and return its new value."""

    async def draw(self, name: str, credential: str, by: int = 1) -> tuple[int, Sequence[Change]]:
        """Add ``by`` to a counter as `count_up` does, but perhaps only in memory.

        Return its new value, and the changes that must be written together with whatever has the drawn
        numbers. A number that was not written can be drawn again after a restart. No other change may count
        such a counter.
        """

    async def count(self, name: str, credential: str = "") -> int:
        """Return the value of a counter of a credential."""

    async def counters(self, prefix: str, credential: str | None = None) -> list[Counter]:
        """Return the counters whose name begins with ``prefix``, sorted by name and credential.

        If ``credential`` is given, return only its counters.
        """

    async def forget(self, credential: str | None) -> None:
        """Delete the documents and counters of ``credential``, or all if None. Counters restart at 0."""

    def note(self, written: Written) -> None:
        """From now on, call ``written`` each time this process has written a document.

        The calls are in the order of the writes. ``written`` is not called for documents of ``append``,
        ``forget`` and ``restore``. A database that other processes can use at the same time never calls it.
        """

    def listen(self, kind: str, heard: Heard) -> None:
        """From now on, call ``heard`` each time any process may have changed a document of a kind.

        A database that only one process can use never calls it.
        """

    async def catch_up(self) -> None:
        """Call the listeners for all changes that any process has made before this call.

        A change counts as made when the method that makes it has returned. When ``catch_up`` returns, the
        copies that listeners keep in memory are at least as new as the database was at the time of the call.
        """

    def export(self) -> AsyncIterator[Document | Counter]:
        """Yield a consistent copy of all documents, the oldest first, and of all counters."""

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        """Replace all documents and counters with ``entries``. If this raises, nothing has changed.

        ``entries`` is iterated in another thread. The entries together do not have to fit into memory.

        Raises
        ------
        KeyError
            If two documents have the same kind and key, or two counters have the same credential and name.
        """

    async def compact(self) -> None:
        """Free the disk space of deleted documents."""

    async def check(self) -> None:
        """Check that the database can be written."""

    async def close(self) -> None:
        """Close the store."""
