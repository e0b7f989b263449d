"""The last calls: what was sent, what came of it, and what the client did wrong.

They stand in memory, bounded in number and in bytes; the oldest go first. What is shown of a call is
made when somebody first looks at it, so that a call costs little more than the taking down.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from emulator.backends.records import Records
from emulator.clock import EVERYBODY, Clock
from emulator.web.capture import Capture
from emulator.web.notices import Notice
from emulator.web.redaction import Redaction, mask
from emulator.web.text import Pattern, Text, encodable

KIND = "journal"

FLUSH_SECONDS = 1.0
"""How often new calls are written to the records: what a kill -9 loses at most."""

CHUNK = 100
"""How many calls one record has at most."""

NEAR_MISSES = 5


@dataclass(frozen=True)
class Entry:
    """A call, as it is shown; its secrets are masked.

    Attributes
    ----------
    number : int
        Counts all calls, from 1.
    vendor, operation : str, str or None
        Whose API was called, and which of its operations; None for an unknown path.
    owner : str or None
        The exact credential; never shown.
    credential : str or None
        What is shown of it.
    method, path : str
        As they were sent.
    url : str
        Scheme and host that the client named.
    query, request_headers, response_headers : list of [name, value]
        In their order.
    sent, answer : mapping or None
        The bodies: ``kind`` is ``json``, ``form``, ``multipart``, ``text`` or ``binary``. Of pictures only
        ``bytes`` and ``sha256``.
    status : int or None
        None if the connection was dropped before an answer.
    is_complete : bool
        Whether all of the answer went out.
    started_at : float
        By the credential's clock, seconds since the epoch.
    real_started_at : float
        By the machine's clock.
    duration_ms : float
        Until the last of the answer was ready to go out.
    fault : mapping or None
        What went wrong on purpose: ``source`` and ``effect``.
    warnings : list of {code, detail}
        What the client did wrong.
    """

    number: int
    vendor: str
    operation: str | None
    owner: str | None
    credential: str | None
    method: str
    path: str
    url: str
    query: list[list[str]]
    request_headers: list[list[str]]
    sent: dict[str, Any] | None
    status: int | None
    is_complete: bool
    response_headers: list[list[str]]
    answer: dict[str, Any] | None
    started_at: float
    real_started_at: float
    duration_ms: float
    fault: dict[str, Any] | None
    warnings: list[dict[str, str]]

    def shown(self) -> dict[str, Any]:
        """Return the entry as a JSON object, without the exact credential."""
        document = asdict(self)
        del document["owner"]
        return document


@dataclass(frozen=True)
class _Chunk:
    """What one record holds."""

    last: int
    calls: list[Entry]
    overrun: int = 0


CALLS = TypeAdapter(_Chunk)


@dataclass(eq=False)
class Noted:
    """A call as it was taken down; ``entry`` is made when somebody looks."""

    number: int
    owner: str | None
    held_bytes: int
    _make: Callable[[], Entry] | None
    _entry: Entry | None = None

    @property
    def entry(self) -> Entry:
        """What is shown of it."""
        if self._entry is None:
            if self._make is None:
                raise RuntimeError("a call without a beginning")
            self._entry, self._make = self._make(), None
        return self._entry


def _sendable(document: Any) -> Any:
    """Return a JSON value, unless the answer that repeats it could not be sent."""
    try:
        encodable(json.dumps(document, ensure_ascii=False))
    except RecursionError as error:
        raise ValueError("that is nested too deeply") from error
    return document


class CallMatch(BaseModel):
    """Which calls are meant; what is not given matches all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vendor: Text | None = None
    operation: Text | None = Field(default=None, description="As `GET /_emulator/operations` names them.")
    credential: Text | None = Field(default=None, description="Exactly this one's.")
    status: str | None = Field(
        default=None,
        pattern="^([1-5][0-9x]{2}|none)$",
        description="`404`, a class such as `4xx`, or `none` where the connection was dropped.",
    )
    since: float | None = Field(default=None, description="Not before, by the credential's clock.")
    until: float | None = Field(default=None, description="Before, by the credential's clock.")
    fault: bool | None = Field(default=None, description="Whether something went wrong on purpose.")
    warned: bool | None = Field(default=None, description="Whether there are warnings.")
    warning: Text | None = Field(default=None, description="With a warning of this code.")

    @field_validator("status", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """Return a bare status as a text."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def failures(self, entry: Entry) -> list[Failure]:
        """Return the conditions that ``entry`` does not meet."""
        codes = [warning["code"] for warning in entry.warnings]
        status = "none" if entry.status is None else str(entry.status)
        tests: Iterable[tuple[str, Any, Any, bool]] = (
            ("vendor", self.vendor, entry.vendor, self.vendor == entry.vendor),
            ("operation", self.operation, entry.operation, self.operation == entry.operation),
            ("credential", mask(self.credential or ""), entry.credential, self.credential == entry.owner),
            ("status", self.status, status, self._has_status(status)),
            ("since", self.since, entry.started_at, entry.started_at >= (self.since or 0.0)),
            ("until", self.until, entry.started_at, entry.started_at < (self.until or 0.0)),
            ("fault", self.fault, entry.fault, self.fault == (entry.fault is not None)),
            ("warned", self.warned, codes, self.warned == bool(codes)),
            ("warning", self.warning, codes, self.warning in codes),
        )
        return [
            Failure(name, expected, actual)
            for name, expected, actual, holds in tests
            if getattr(self, name) is not None and not holds
        ]

    def _has_status(self, status: str) -> bool:
        return len(status) == len(self.status or "") and all(
            wanted in {"x", got} for wanted, got in zip(self.status or "", status, strict=False)
        )


class VerifyMatch(CallMatch):
    """Which calls are counted; what is not given matches all."""

    method: Text | None = None
    path: Text | None = Field(default=None, description="The whole path.")
    path_matches: Pattern | None = Field(default=None, description="A regular expression, found in the path.")
    query: Mapping[Text, Text] = Field(default_factory=dict, description="Parameters that were sent.")
    headers: Mapping[Text, Pattern] = Field(
        default_factory=dict, description="Regular expressions that are found in headers, by name."
    )
    body: Annotated[Any, AfterValidator(_sendable)] = Field(
        default=None,
        description="A part of the JSON that was sent, or of a form's fields by name: objects may have more "
        "members, lists are compared member by member. A file is `{bytes, sha256, file_name, content_type}`.",
    )
    body_contains: Text | None = Field(
        default=None, min_length=1, description="In what is shown of the body."
    )

    def failures(self, entry: Entry) -> list[Failure]:
        """Return the conditions that ``entry`` does not meet."""
        found = super().failures(entry)
        if self.method is not None and self.method.upper() != entry.method:
            found.append(Failure("method", self.method, entry.method))
        if self.path is not None and self.path != entry.path:
            found.append(Failure("path", self.path, entry.path))
        if self.path_matches is not None and re.search(self.path_matches, entry.path) is None:
            found.append(Failure("path_matches", self.path_matches, entry.path))
        for name, value in self.query.items():
            values = [given for key, given in entry.query if key == name]
            if value not in values:
                found.append(Failure(f"query.{name}", value, values))
        for name, pattern in self.headers.items():
            values = [given for key, given in entry.request_headers if key.lower() == name.lower()]
            if not any(re.search(pattern, given) for given in values):
                found.append(Failure(f"headers.{name}", pattern, values))
        return found + self._body_failures(entry.sent or {})

    def _body_failures(self, sent: Mapping[str, Any]) -> list[Failure]:
        content = sent.get("json", sent.get("fields"))
        found: list[Failure] = []
        if self.body is not None:
            found += [Failure(where, wanted, got) for where, wanted, got in _differences(self.body, content)]
        if self.body_contains is not None:
            text = sent.get("text", "" if content is None else json.dumps(content, ensure_ascii=False))
            if self.body_contains not in text:
                found.append(Failure("body_contains", self.body_contains, text[:200]))
        return found

    @property
    def conditions(self) -> int:
        """How many there are."""
        given = self.model_dump(exclude_defaults=True)
        pieces = ("query", "headers")
        return sum(len(value) if name in pieces else 1 for name, value in given.items())


@dataclass(frozen=True)
class Failure:
    """A condition that a call does not meet."""

    condition: str
    expected: Any
    actual: Any


@dataclass(frozen=True)
class NearMiss:
    """A call that does not match, and why."""

    number: int
    failures: list[Failure]


@dataclass(frozen=True)
class Verdict:
    """Whether as many calls match as should, and what comes closest if not."""

    ok: bool
    message: str
    count: int
    matching: list[int]
    near_misses: list[NearMiss]


@dataclass(frozen=True)
class Gap:
    """Calls that were gone before a reader of the stream got to them."""

    missed: int
    last: int


class Journal:
    """The last calls.

    Parameters
    ----------
    records, clock
        Where calls are written, and what dates them.
    calls, size : int
        How many calls, and how many bytes of them, are kept.
    secrets : sequence of str
        The names of the fields that carry secrets.
    survives : bool
        Whether calls are written to the records, in the background.
    """

    def __init__(
        self,
        records: Records,
        clock: Clock,
        *,
        calls: int,
        size: int,
        secrets: Sequence[str],
        survives: bool,
    ) -> None:
        self._records = records
        self._clock = clock
        self._calls = calls
        self._size = size
        self._secrets = secrets
        self._survives = survives
        self._noted: deque[Noted] = deque()
        self._held_bytes = 0
        self._last = 0
        self._overrun = 0
        self._written = 0
        self._chunks: deque[tuple[str, int]] = deque()
        self._readers: set[asyncio.Event] = set()
        self._dirty = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Whether calls are taken down at all."""
        return self._calls > 0

    @property
    def last(self) -> int:
        """The number of the newest call, or 0."""
        return self._last

    async def load(self) -> None:
        """Read the calls from the records: at the start, and after a restore.

        The count goes on from where it was: who follows waits for higher numbers.
        """
        counted = self._last
        self._noted.clear()
        self._chunks.clear()
        self._held_bytes = 0
        self._overrun = overrun = 0
        for record in sorted(await self._records.find(KIND), key=lambda record: _newest(record.document)):
            for document in record.document["calls"]:
                entry = Entry(**document)
                size = len(json.dumps(document))
                self._append(Noted(entry.number, entry.owner, size, None, entry))
            self._chunks.append((record.key, _newest(record.document)))
            self._last = max(self._last, record.document["last"])
            overrun = max(overrun, record.document.get("overrun", 0))
        if self._noted:
            # A record goes as a whole: of calls that had left the memory, some may be back.
            overrun = min(overrun, self._noted[0].number - 1)
        self._overrun = max(self._overrun, overrun)
        self._last = max(self._last, counted)
        self._written = self._last

    def start(self) -> None:
        """Begin to write calls to the records."""
        if self._survives and self._writer is None:
            self._writer = asyncio.create_task(self._write_on())

    async def close(self) -> None:
        """Write what is not written yet, and stop."""
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
            self._writer = None
            await self.flush()

    def note(
        self,
        capture: Capture,
        *,
        vendor: str,
        operation: str | None,
        credential: str | None,
        fault: dict[str, Any] | None,
        notices: Sequence[Notice],
    ) -> None:
        """Take down a call that is over."""
        number = self._last + 1
        setting = self._clock.setting(credential or EVERYBODY)

        def make() -> Entry:
            scope = capture.scope
            redaction = Redaction(self._secrets, credential)
            host = next((value.decode("latin-1") for key, value in scope["headers"] if key == b"host"), "")
            path = redaction.text(scope.get("raw_path", scope["path"].encode()).decode("latin-1"))
            return Entry(
                number=number,
                vendor=vendor,
                operation=operation,
                owner=credential,
                credential=None if credential is None else mask(credential),
                method=scope["method"],
                path=path.partition("?")[0],
                url=f"{scope['scheme']}://{host}",
                query=redaction.query(scope["query_string"]),
                request_headers=redaction.headers(scope["headers"]),
                sent=capture.shown_request(redaction),
                status=capture.status,
                is_complete=capture.is_complete,
                response_headers=redaction.headers(capture.response_headers),
                answer=capture.shown_answer(redaction),
                started_at=setting.at(capture.started),
                real_started_at=capture.started,
                duration_ms=round(capture.duration_s * 1000, 3),
                fault=fault,
                warnings=[
                    {"code": notice.code, "detail": redaction.text(notice.detail)} for notice in notices
                ],
            )

        self._append(Noted(number, credential, capture.close(), make))
        self._dirty.set()
        for reader in self._readers:
            reader.set()

    def entries(self, match: CallMatch | None = None, *, after: int = 0) -> list[Entry]:
        """Return the calls that match, the oldest first."""
        owner = None if match is None else match.credential
        return [
            noted.entry
            for noted in self._noted
            if noted.number > after
            and (owner is None or owner == noted.owner)
            and (match is None or not match.failures(noted.entry))
        ]

    def get(self, number: int) -> Entry | None:
        """Return the call of that number, or None if it is gone."""
        return next((noted.entry for noted in self._noted if noted.number == number), None)

    async def clear(self, credential: str | None = None) -> None:
        """Forget the calls of one credential, or all."""
        self._noted = deque(
            noted for noted in self._noted if credential is not None and noted.owner != credential
        )
        self._held_bytes = sum(noted.held_bytes for noted in self._noted)
        if self._survives:
            await self._rewrite()

    def verify(self, match: VerifyMatch, at_least: int, at_most: int | None) -> Verdict:
        """Return whether as many calls match as should."""
        # Whose calls are asked for is the one thing that is never forgiven: tests must not see each other.
        whose = CallMatch(credential=match.credential)
        compared = [(entry, match.failures(entry)) for entry in self.entries(whose)]
        matching = [entry.number for entry, failures in compared if not failures]
        ok = len(matching) >= at_least and (at_most is None or len(matching) <= at_most)
        wanted = _wanted(at_least, at_most)
        if ok:
            return Verdict(ok, f"{wanted}, as it should be", len(matching), matching, [])
        missed = [(entry, failures) for entry, failures in compared if failures]
        # As few conditions failed as possible; of equals the newest.
        missed.sort(key=lambda pair: (len(pair[1]), -pair[0].number))
        near = [NearMiss(entry.number, failures) for entry, failures in missed[:NEAR_MISSES]]
        message = f"expected {wanted}, but {len(matching)} matched"
        if matching:
            message += f" ({', '.join(map(str, matching))})"
        if near and len(matching) < at_least:
            first = near[0].failures[0]
            message += (
                f"; the closest is call {near[0].number}, which fails {len(near[0].failures)} of"
                f" {match.conditions} conditions: {first.condition} is {json.dumps(first.actual)},"
                f" not {json.dumps(first.expected)}"
            )
        elif not compared:
            message += "; there are no calls" + ("" if match.credential is None else " of this credential")
        return Verdict(ok, message, len(matching), matching, near if len(matching) < at_least else [])

    async def follow(
        self, match: CallMatch, after: int, is_over: Callable[[], bool] = lambda: False
    ) -> AsyncGenerator[Entry | Gap]:
        """Give the calls after a number as they come; who is too slow is told what was missed.

        A reader holds nothing but the number of the call that it had last.
        """
        news = asyncio.Event()
        self._readers.add(news)
        try:
            while not is_over():
                news.clear()
                if after < self._overrun:
                    yield Gap(self._overrun - after, self._overrun)
                    after = self._overrun
                # A few at a time: whoever reads slowly holds no more.
                for noted in [noted for noted in self._noted if noted.number > after][:CHUNK]:
                    after = noted.number
                    if match.credential in {None, noted.owner} and not match.failures(noted.entry):
                        yield noted.entry
                        if is_over():
                            return
                if not self._noted or after >= self._noted[-1].number:
                    await news.wait()
        finally:
            self._readers.discard(news)

    def wake(self) -> None:
        """Let those that follow look whether it is over."""
        for reader in self._readers:
            reader.set()

    def _append(self, noted: Noted) -> None:
        self._noted.append(noted)
        self._last = noted.number
        self._held_bytes += noted.held_bytes
        while len(self._noted) > self._calls or self._held_bytes > self._size:
            gone = self._noted.popleft()
            self._held_bytes -= gone.held_bytes
            self._overrun = gone.number

    async def _write_on(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what is not written yet, and drop what has gone out of memory."""
        async with self._writing:
            fresh = [noted for noted in self._noted if noted.number > self._written]
            for begin in range(0, len(fresh), CHUNK):
                await self._write(fresh[begin : begin + CHUNK])
            oldest = self._noted[0].number if self._noted else self._last + 1
            # The newest record stays in any case: it says how far the calls were counted.
            while len(self._chunks) > 1 and self._chunks[0][1] < oldest:
                await self._records.delete(KIND, self._chunks.popleft()[0])

    async def _write(self, calls: Sequence[Noted]) -> None:
        last = calls[-1].number if calls else self._last
        key = str(last)
        # Those that were cleared were counted all the same.
        document = {
            "last": self._last,
            "overrun": self._overrun,
            "calls": [asdict(noted.entry) for noted in calls],
        }
        # Several credentials' calls stand in one record, which is why it is nobody's.
        await self._records.put(KIND, key, EVERYBODY, document)
        self._chunks.append((key, last))
        self._written = max(self._written, last)

    async def _rewrite(self) -> None:
        async with self._writing:
            old = [key for key, _ in self._chunks]
            self._chunks.clear()
            kept = list(self._noted)
            for begin in range(0, len(kept), CHUNK):
                await self._write(kept[begin : begin + CHUNK])
            if not kept:
                await self._write([])
            for key in old:
                if key not in {written for written, _ in self._chunks}:
                    await self._records.delete(KIND, key)


def check_calls(document: Mapping[str, Any]) -> None:
    """Raise unless a record holds calls.

    Raises
    ------
    ValueError
        If it does not.
    """
    CALLS.validate_python(document)


def _newest(document: Mapping[str, Any]) -> int:
    """Return up to which number the calls of a record go."""
    number: int = document["calls"][-1]["number"] if document["calls"] else document["last"]
    return number


def _differences(wanted: Any, got: Any, where: str = "body") -> Iterator[tuple[str, Any, Any]]:
    """Give the places where ``wanted`` is not a part of ``got``."""
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        for name, member in wanted.items():
            if name in got:
                yield from _differences(member, got[name], f"{where}.{name}")
            else:
                yield f"{where}.{name}", member, None
    elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        for position, (member, other) in enumerate(zip(wanted, got, strict=True)):
            yield from _differences(member, other, f"{where}[{position}]")
    elif wanted != got or isinstance(wanted, bool) is not isinstance(got, bool):
        yield where, wanted, got


def _wanted(at_least: int, at_most: int | None) -> str:
    """Return in words how many calls should match."""
    if at_most is None:
        return f"at least {_calls(at_least)}"
    if at_least == at_most:
        return f"exactly {_calls(at_least)}"
    return f"{at_least} to {_calls(at_most)}" if at_least else f"at most {_calls(at_most)}"


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"
