"""The journal: the last calls, what they were like, and whether they were as a test wanted them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Self

from fastapi import APIRouter, Header, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.convertors import IntegerConvertor, register_url_convertor

from emulator.control.dependencies import FilterDep
from emulator.control.har import to_har
from emulator.web.endings import on_stop
from emulator.world.journal.entry import Entry, RecordedCall
from emulator.world.journal.journal import Gap, Journal
from emulator.world.journal.verify import CallMatch, Verdict, VerifyMatch
from emulator.world.warnings import WARNINGS, WarningKind
from emulator.world.world import World


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


class _CallNumber(IntegerConvertor):
    """What may be a call's number: other paths, and numbers that Python would not read, are none."""

    regex = "[1-9][0-9]{0,17}"


register_url_convertor("call", _CallNumber())


def journal_router(world: World, version: str) -> APIRouter:
    """Return the routes of the journal."""
    router = APIRouter(tags=["journal"])
    journal = world.journal

    @router.get("/calls")
    async def list_calls(wanted: Annotated[CallFilter, Query()]) -> RecordedCalls:
        """List the calls that match, the oldest first."""
        found, page = _choose(journal, wanted)
        return RecordedCalls(
            calls=list(page),
            total=len(found),
            next_after=page[-1].number if len(found) > len(page) else None,
        )

    @router.delete("/calls", status_code=204)
    async def forget_calls(credential: FilterDep) -> None:
        """Forget the calls of a credential, or all."""
        await journal.forget(credential)

    @router.post("/calls/verify")
    async def verify_calls(expectation: Expectation) -> Verdict:
        """Say whether as many calls match as should, and what comes closest if not."""
        count = expectation.count
        if isinstance(count, int):
            count = Count(at_least=count, at_most=count)
        return journal.verify(expectation.match, count.at_least, count.at_most)

    _add_exports(router, journal, version)

    @router.get("/calls/{number:call}")
    async def get_call(number: int) -> RecordedCall:
        """Return one call."""
        entry = journal.get(number)
        if entry is None:
            raise HTTPException(404, f"call {number} is not in the journal")
        return entry

    @router.get("/warnings")
    async def list_warnings() -> list[WarningKind]:
        """List every warning that a call can get."""
        return list(WARNINGS.values())

    return router


def _choose(journal: Journal, wanted: CallFilter) -> tuple[Sequence[Entry], Sequence[Entry]]:
    """Return the calls that match, and the first of them, as many as are wanted at once."""
    found = journal.entries(wanted, after=wanted.after)
    if wanted.last is not None:
        found = found[-wanted.last :]
    return found, found[: wanted.limit]


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
                yield ServerSentEvent(event="call", id=str(item.number), data=item.model_dump(mode="json"))

    @router.get("/calls.har")
    async def export_calls(wanted: Annotated[CallFilter, Query()]) -> JSONResponse:
        """Export calls as an HTTP archive (HAR 1.2), as masked as everywhere."""
        found, page = _choose(journal, wanted)
        if wanted.last is not None and "limit" not in wanted.model_fields_set:
            page = found
        headers = {"Content-Disposition": 'attachment; filename="calls.har"'}
        return JSONResponse(to_har(page, version), headers=headers)
