"""The journal: the last calls, what they were like, and whether they were as a test wanted them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Self

from fastapi import APIRouter, Header, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.convertors import IntegerConvertor, register_url_convertor

from emulator.control.har import to_har
from emulator.web.endings import on_stop
from emulator.web.journal import CallMatch, Gap, Journal, VerifyMatch
from emulator.web.notices import NOTICES
from emulator.web.services import Services


class RecordedCall(BaseModel):
    """A call, its secrets masked and its pictures given by digest."""

    number: int = Field(description="Counts all calls, from 1.")
    vendor: str
    operation: str | None = Field(description="None for an unknown path.")
    credential: str | None = Field(description="Masked.")
    method: str
    path: str
    url: str = Field(description="Scheme and host, as the client named them.")
    query: list[tuple[str, str]]
    request_headers: list[tuple[str, str]]
    sent: dict[str, Any] | None = Field(
        description="By `kind`: `json`, `fields` of a `form` or `multipart`, `text`; or `bytes` and `sha256`."
    )
    status: int | None = Field(description="None if the connection was dropped before an answer.")
    is_complete: bool = Field(description="Whether all of the answer went out.")
    response_headers: list[tuple[str, str]]
    answer: dict[str, Any] | None
    started_at: float = Field(description="By the credential's clock, seconds since the epoch.")
    real_started_at: float = Field(description="By the machine's clock.")
    duration_ms: float
    fault: dict[str, Any] | None = Field(description="What went wrong on purpose: `source` and `effect`.")
    warnings: list[dict[str, str]] = Field(description="What the client did wrong: `code` and `detail`.")


class RecordedCalls(BaseModel):
    """A page of the journal, the oldest first."""

    calls: list[RecordedCall]
    total: int = Field(description="How many match on this page and after it.")
    next_after: int | None = Field(description="`after` of the next page, if there is one.")


class CallFilter(CallMatch):
    """Which calls, and which page of them."""

    after: int = Field(default=0, ge=0, description="Only calls with a higher number.")
    limit: int = Field(default=100, ge=1, le=1000)
    last: int | None = Field(default=None, ge=1, description="Only the newest so many.")


class StreamFilter(CallMatch):
    """Which calls, and from where on."""

    after: int | None = Field(
        default=None, ge=0, description="Only calls with a higher number; if not given, those to come."
    )


class Count(BaseModel):
    """How many calls are wanted."""

    model_config = ConfigDict(extra="forbid")

    at_least: int = Field(default=0, ge=0)
    at_most: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError("`at_most` is below `at_least`")
        return self


class Expectation(BaseModel):
    """Calls that should have been made."""

    model_config = ConfigDict(extra="forbid")

    match: VerifyMatch = VerifyMatch()
    count: Annotated[int, Field(ge=0)] | Count = Field(
        default=Count(at_least=1),
        description="Exactly so many, or `{at_least, at_most}`; one or more, if not given.",
    )


class FailedCondition(BaseModel):
    """A condition that a call does not meet."""

    condition: str
    expected: Any
    actual: Any


class NearMissDescription(BaseModel):
    """A call that comes close."""

    number: int
    failures: list[FailedCondition]


class VerdictDescription(BaseModel):
    """Whether as many calls match as should."""

    ok: bool
    message: str = Field(description="For people: what was expected, and what comes closest.")
    count: int
    matching: list[int]
    near_misses: list[NearMissDescription] = Field(
        description="The closest first; only where calls are missing."
    )


class WarningDescription(BaseModel):
    """A kind of warning."""

    code: str
    when: str
    advice: str


class _CallNumber(IntegerConvertor):
    """What may be a call's number: other paths, and numbers that Python would not read, are none."""

    regex = "[1-9][0-9]{0,17}"


register_url_convertor("call", _CallNumber())


def journal_router(services: Services, version: str) -> APIRouter:
    """Return the routes of the journal."""
    router = APIRouter(tags=["journal"])
    journal = services.journal

    @router.get("/calls")
    async def list_calls(wanted: Annotated[CallFilter, Query()]) -> RecordedCalls:
        """List the calls that match, the oldest first."""
        found = journal.entries(wanted, after=wanted.after)
        if wanted.last is not None:
            found = found[-wanted.last :]
        page = found[: wanted.limit]
        return RecordedCalls(
            calls=[RecordedCall.model_validate(entry.shown()) for entry in page],
            total=len(found),
            next_after=page[-1].number if len(found) > len(page) else None,
        )

    @router.delete("/calls", status_code=204)
    async def forget_calls(credential: str | None = None) -> None:
        """Forget the calls of a credential, or all."""
        await journal.clear(credential)

    @router.post("/calls/verify")
    async def verify_calls(expectation: Expectation) -> VerdictDescription:
        """Say whether as many calls match as should, and what comes closest if not."""
        count = expectation.count
        if isinstance(count, int):
            count = Count(at_least=count, at_most=count)
        verdict = journal.verify(expectation.match, count.at_least, count.at_most)
        return VerdictDescription.model_validate(verdict, from_attributes=True)

    _add_exports(router, journal, version)

    @router.get("/calls/{number:call}")
    async def get_call(number: int) -> RecordedCall:
        """Return one call."""
        entry = journal.get(number)
        if entry is None:
            raise HTTPException(404, f"call {number} is not in the journal")
        return RecordedCall.model_validate(entry.shown())

    @router.get("/warnings")
    async def list_warnings() -> list[WarningDescription]:
        """List every warning that a call can get."""
        return [WarningDescription.model_validate(code, from_attributes=True) for code in NOTICES.values()]

    return router


def _add_exports(router: APIRouter, journal: Journal, version: str) -> None:
    """Add how calls get out: one by one as they come, and all at once as a file."""

    @router.get("/calls/stream", response_class=EventSourceResponse)
    async def stream_calls(
        request: Request,
        wanted: Annotated[StreamFilter, Query()],
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> AsyncGenerator[ServerSentEvent]:
        """Send each call as it is over: `event: call`, its number as `id`.

        `Last-Event-ID` resumes. Who reads too slowly, or comes back too late, gets `event: gap` with the
        number of calls that were `missed`; who comes back to a server that counts from 1 again, and is not
        that far yet, gets `event: restart` with the number of its `last` call, and then all its calls.
        """
        after = journal.last if wanted.after is None else wanted.after
        has_restarted = False
        if last_event_id is not None and re.fullmatch(r"\d{1,18}", last_event_id):
            after = int(last_event_id)
            # No call has that number yet: it is another life's, and nothing would come for long.
            has_restarted = after > journal.last
        is_over = False

        def end() -> None:
            nonlocal is_over
            is_over = True
            journal.wake()

        on_stop(request.scope, end)
        yield ServerSentEvent(comment="calls follow")
        if has_restarted:
            yield ServerSentEvent(event="restart", id="0", data={"last": journal.last})
            after = 0
        async for item in journal.follow(wanted, after, lambda: is_over):
            if isinstance(item, Gap):
                yield ServerSentEvent(event="gap", id=str(item.last), data={"missed": item.missed})
            else:
                yield ServerSentEvent(event="call", id=str(item.number), data=item.shown())

    @router.get("/calls.har")
    async def export_calls(wanted: Annotated[CallFilter, Query()]) -> JSONResponse:
        """Export calls as an HTTP archive (HAR 1.2), as masked as everywhere."""
        found = journal.entries(wanted, after=wanted.after)
        page = found[: wanted.limit] if wanted.last is None else found[-wanted.last :]
        headers = {"Content-Disposition": 'attachment; filename="calls.har"'}
        return JSONResponse(to_har(page, version), headers=headers)
