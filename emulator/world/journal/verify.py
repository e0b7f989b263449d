"""Filters for recorded calls, and the check that the expected number of calls match."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from emulator.world.journal.entry import Entry
from emulator.world.redaction import mask
from emulator.world.text import Pattern, Text, encodable, is_found

NEAR_MISSES = 5
"""Largest number of near misses in a verdict. A near miss is a call that almost matches."""


def _sendable(document: Any) -> Any:
    """Return ``document`` if it can be part of a JSON response. Otherwise raise ValueError."""
    try:
        encodable(json.dumps(document, ensure_ascii=False))
    except RecursionError as error:
        raise ValueError("the value is nested too deeply") from error
    return document


class CallMatch(BaseModel):
    """A filter for calls. A member that is omitted or null matches every call."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vendor: Text | None = Field(default=None, description="Name of the vendor.")
    operation: Text | None = Field(
        default=None, description="Name of the operation, as in `GET /_emulator/operations`."
    )
    credential: Text | None = Field(default=None, description="Exact credential of the caller.")
    status: str | None = Field(
        default=None,
        pattern="^([1-5][0-9x]{2}|none)$",
        description="HTTP status such as `404`, a class such as `4xx`, or `none` if the connection was "
        "dropped without a response.",
    )
    since: float | None = Field(
        default=None,
        description="Only calls that started at or after this time, in seconds since the Unix epoch, by the "
        "credential's clock.",
    )
    until: float | None = Field(
        default=None,
        description="Only calls that started before this time, in seconds since the Unix epoch, by the "
        "credential's clock.",
    )
    fault: bool | None = Field(
        default=None, description="True for calls with an injected fault, false for calls without one."
    )
    warned: bool | None = Field(
        default=None, description="True for calls with warnings, false for calls without warnings."
    )
    warning: Text | None = Field(default=None, description="Only calls with this warning, given by its code.")

    @field_validator("status", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """Convert an integer status to text."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def failures(self, entry: Entry) -> list[Failure]:
        """Return the conditions of this filter that ``entry`` does not meet."""
        codes = [warning["code"] for warning in entry.warnings]
        status = "none" if entry.status is None else str(entry.status)
        tests: Iterable[tuple[str, Any, Any, bool]] = (
            ("vendor", self.vendor, entry.vendor, self.vendor == entry.vendor),
            ("operation", self.operation, entry.operation, self.operation == entry.operation),
            (
                "credential",
                mask(self.credential or ""),
                entry.credential,
                self.credential == entry.exact_credential,
            ),
            ("status", self.status, status, self._has_status(status)),
            ("since", self.since, entry.started_at, entry.started_at >= (self.since or 0.0)),
            ("until", self.until, entry.started_at, entry.started_at < (self.until or 0.0)),
            ("fault", self.fault, entry.fault, self.fault == (entry.fault is not None)),
            ("warned", self.warned, codes, self.warned == bool(codes)),
            ("warning", self.warning, codes, self.warning in codes),
        )
        return [
            _failure(name, expected, actual)
            for name, expected, actual, holds in tests
            if getattr(self, name) is not None and not holds
        ]

    def _has_status(self, status: str) -> bool:
        return len(status) == len(self.status or "") and all(
            wanted in {"x", got} for wanted, got in zip(self.status or "", status, strict=False)
        )


class VerifyMatch(CallMatch):
    """The calls to count. A member that is omitted or null matches every call."""

    method: Text | None = Field(default=None, description="HTTP method, in upper or lower case.")
    path: Text | None = Field(default=None, description="Exact path, without the query.")
    path_matches: Pattern | None = Field(
        default=None,
        description="Regular expression (RE2 syntax) to search for in the path.",
    )
    query: Mapping[Text, Text] = Field(
        default_factory=dict, description="Query parameters that the client sent, with their exact values."
    )
    headers: Mapping[Text, Pattern] = Field(
        default_factory=dict,
        description="Regular expressions (RE2 syntax) to search for in the request headers, by header name.",
    )
    body: Annotated[Any, AfterValidator(_sendable)] = Field(
        default=None,
        description="Expected body: JSON or, for a form, an object with its fields. Objects in the call may "
        "have additional members. Lists must have the same length. A file in a form is an object with "
        "`bytes`, `sha256`, `file_name` and `content_type`.",
    )
    body_contains: Text | None = Field(
        default=None, min_length=1, description="Text to search for in the recorded request body."
    )

    def failures(self, entry: Entry) -> list[Failure]:
        """Return the conditions of this filter that ``entry`` does not meet."""
        found = super().failures(entry)
        if self.method is not None and self.method.upper() != entry.method:
            found.append(_failure("method", self.method, entry.method))
        if self.path is not None and self.path != entry.path:
            found.append(_failure("path", self.path, entry.path))
        if self.path_matches is not None and not is_found(self.path_matches, entry.path):
            found.append(_failure("path_matches", self.path_matches, entry.path))
        for name, value in self.query.items():
            values = [given for key, given in entry.query if key == name]
            if value not in values:
                found.append(_failure(f"query.{name}", value, values))
        for name, pattern in self.headers.items():
            values = [given for key, given in entry.request_headers if key.lower() == name.lower()]
            if not any(is_found(pattern, given) for given in values):
                found.append(_failure(f"headers.{name}", pattern, values))
        return found + self._body_failures(entry.sent or {})

    def _body_failures(self, sent: Mapping[str, Any]) -> list[Failure]:
        content = sent.get("json", sent.get("fields"))
        found: list[Failure] = []
        if self.body is not None:
            found += [_failure(*difference) for difference in _differences(self.body, content)]
        if self.body_contains is not None:
            text = sent.get("text", "" if content is None else json.dumps(content, ensure_ascii=False))
            if self.body_contains not in text:
                found.append(_failure("body_contains", self.body_contains, text[:200]))
        return found

    @property
    def conditions(self) -> int:
        """Number of conditions. Each query parameter and each header counts as one condition."""
        given = self.model_dump(exclude_defaults=True)
        pieces = ("query", "headers")
        return sum(len(value) if name in pieces else 1 for name, value in given.items())


class Failure(BaseModel):
    """A condition that a call does not meet."""

    condition: str = Field(description="Name of the condition, such as `status` or `headers.accept`.")
    expected: Any = Field(description="Value that the condition requires. A credential is masked.")
    actual: Any = Field(description="Value in the call; null if there is none.")


class NearMiss(BaseModel):
    """A call that does not match, and the conditions that it does not meet."""

    number: int = Field(description="Number of the call.")
    failures: list[Failure] = Field(description="Conditions that the call does not meet.")


class Verdict(BaseModel):
    """The result of a verification."""

    ok: bool = Field(description="Whether the number of matching calls is as expected.")
    message: str = Field(
        description="The result as a sentence. If too few calls match, it names the call that comes closest "
        "to matching."
    )
    count: int = Field(description="Number of matching calls.")
    matching: list[int] = Field(description="Numbers of the matching calls, oldest first.")
    near_misses: list[NearMiss] = Field(
        description="The calls that come closest to matching, fewest failed conditions first. Empty unless "
        "too few calls match."
    )


def verdict(entries: Sequence[Entry], match: VerifyMatch, at_least: int, at_most: int | None) -> Verdict:
    """Check that at least ``at_least`` and at most ``at_most`` calls match. None means no upper limit.

    If too few calls match, the verdict has the calls that come closest to matching.
    """
    compared = [(entry, match.failures(entry)) for entry in entries]
    matching = [entry.number for entry, failures in compared if not failures]
    ok = len(matching) >= at_least and (at_most is None or len(matching) <= at_most)
    wanted = _wanted(at_least, at_most)
    if ok:
        return Verdict(
            ok=ok,
            message=f"{wanted}, as expected",
            count=len(matching),
            matching=matching,
            near_misses=[],
        )
    missed = [(entry, failures) for entry, failures in compared if failures]
    # Fewest failed conditions first; among equals, newest first.
    missed.sort(key=lambda pair: (len(pair[1]), -pair[0].number))
    near = [NearMiss(number=entry.number, failures=failures) for entry, failures in missed[:NEAR_MISSES]]
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
    return Verdict(
        ok=ok,
        message=message,
        count=len(matching),
        matching=matching,
        near_misses=near if len(matching) < at_least else [],
    )


def _failure(condition: str, expected: Any, actual: Any) -> Failure:
    return Failure(condition=condition, expected=expected, actual=actual)


def _differences(wanted: Any, got: Any, where: str = "body") -> Iterator[tuple[str, Any, Any]]:
    """Yield path, expected value and actual value of each difference. ``got`` may have extra members."""
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
    """Return the expected number of calls in words."""
    if at_most is None:
        return f"at least {_calls(at_least)}"
    if at_least == at_most:
        return f"exactly {_calls(at_least)}"
    return f"{at_least} to {_calls(at_most)}" if at_least else f"at most {_calls(at_most)}"


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"
