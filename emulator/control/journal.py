"""Routes that list, verify, stream and export the calls in the journal."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Annotated, Final, Self

import anyio.to_thread
from fastapi import APIRouter, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.convertors import IntegerConvertor, register_url_convertor

from emulator.backends.unavailable import StoreUnavailable
from emulator.control.dependencies import FilterDep
from emulator.control.har import har_entry, har_frame
from emulator.web.endings import on_stop
from emulator.world.journal.entry import LazyCall, RecordedCall
from emulator.world.journal.journal import Gap, Journal
from emulator.world.journal.verify import CallMatch, Verdict, VerifyMatch
from emulator.world.warnings import WARNINGS, WarningKind
from emulator.world.world import World

PAGE_BYTES: Final = 8 * 1024 * 1024
"""Size at which a page of calls ends, in bytes."""

HAR_CHUNK: Final = 20
"""Number of calls that are exported at once."""


class RecordedCalls(BaseModel):
    """A page of recorded calls."""

    calls: list[RecordedCall] = Field(description="Calls on this page, oldest first.")
    total: int = Field(description="Number of matching calls on this page and all following pages.")
    next_after: int | None = Field(description="Value of `after` for the next page; null on the last page.")


class CallFilter(CallMatch):
    """A filter for calls, and the page to return."""

    after: int = Field(default=0, ge=0, description="Only calls with a number above this one.")
    limit: int = Field(default=100, ge=1, le=1000, description="Largest number of calls in the response.")
    last: int | None = Field(
        default=None, ge=1, description="Number of matching calls to select, counted from the newest."
    )


class StreamFilter(CallMatch):
    """A filter for calls, and the call after which to start."""

    after: int | None = Field(
        default=None,
        ge=0,
        description="Only calls with a number above this one, recorded or new. Omit it for new calls only.",
    )


class Count(BaseModel):
    """A range for the number of calls."""

    model_config = ConfigDict(extra="forbid")

    at_least: int = Field(default=0, ge=0, description="Smallest expected number of calls.")
    at_most: int | None = Field(
        default=None, ge=0, description="Largest expected number of calls; null for no upper limit."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError("`at_most` must not be less than `at_least`")
        return self


class Expectation(BaseModel):
    """The calls that a test expects."""

    model_config = ConfigDict(extra="forbid")

    match: VerifyMatch = Field(
        default=VerifyMatch(), description="Calls to count. An omitted member matches every call."
    )
    count: Annotated[int, Field(ge=0)] | Count = Field(
        default=Count(at_least=1),
        description="Expected number of calls: a number or `{at_least, at_most}`. The default is at least 1.",
    )


class _CallNumber(IntegerConvertor):
    """The number of a call in a path: up to 18 digits, because Python refuses to parse very long numbers."""

    regex = "[1-9][0-9]{0,17}"


register_url_convertor("call", _CallNumber())


def journal_router(world: World, version: str) -> APIRouter:
    """Return the routes for the journal."""
    router = APIRouter(tags=["journal"])
    journal = world.journal

    @router.get("/calls", response_model=RecordedCalls)
    async def list_calls(wanted: Annotated[CallFilter, Query()]) -> Response:
        """List the recorded calls, oldest first.

        Only calls that match the filter in the query are listed. The response contains at most `limit` calls,
        or fewer if they are large. To get the next page, send the value of `next_after` as `after`.
        """
        page = await journal.read(wanted, wanted.after, lambda calls: _page(journal, calls, wanted))
        return Response(page, media_type="application/json")

    @router.delete("/calls", status_code=204)
    async def forget_calls(credential: FilterDep) -> None:
        """Delete the recorded calls of a credential.

        Without `credential`, all recorded calls are deleted.
        """
        await journal.forget(credential)
        await world.bodies.forget(credential)

    @router.post("/calls/verify", responses={409: {"description": "The journal is off."}})
    async def verify_calls(expectation: Expectation) -> Verdict:
        """Check that the expected number of calls match.

        If too few calls match, the response contains the calls that come closest to matching, and the
        conditions that they do not meet.
        """
        if not journal.is_on:
            raise HTTPException(409, "calls cannot be verified, because FACE_EMULATOR_JOURNAL_CALLS is 0")
        count = expectation.count
        if isinstance(count, int):
            count = Count(at_least=count, at_most=count)
        return await journal.verify(expectation.match, count.at_least, count.at_most)

    _add_exports(router, journal, version)

    @router.get("/calls/{number:call}")
    async def get_call(
        number: Annotated[int, Path(description="Number of the call.")],
    ) -> RecordedCall:
        """Return a recorded call."""
        entry = await journal.get(number)
        if entry is None:
            raise HTTPException(
                404, f"call {number} is not in the journal; GET /_emulator/calls lists the calls"
            )
        return entry

    @router.get("/warnings")
    async def list_warnings() -> list[WarningKind]:
        """List all kinds of warnings."""
        return list(WARNINGS.values())

    return router


def _page(journal: Journal, calls: Sequence[LazyCall], wanted: CallFilter) -> bytes:
    """Return a ``RecordedCalls`` with the first of the matching ``calls``, as JSON."""
    found = _newest(calls, wanted)
    texts: list[str] = []
    size = 0
    for call in found[: wanted.limit]:
        texts.append(journal.entry(call).model_dump_json())
        size += len(texts[-1])
        if size > PAGE_BYTES:
            break
    after = found[len(texts) - 1].number if len(found) > len(texts) else None
    rest = json.dumps({"total": len(found), "next_after": after}, separators=(",", ":"))
    return f'{{"calls":[{",".join(texts)}],{rest[1:]}'.encode()


async def _har(journal: Journal, calls: Sequence[LazyCall], version: str) -> AsyncIterator[str]:
    """Yield the parts of a HAR document. The entries are built in a thread."""

    def entries(part: Sequence[LazyCall]) -> list[str]:
        return [har_entry(journal.entry(call)) for call in part]

    before, after = har_frame(version)
    yield before
    for begin in range(0, len(calls), HAR_CHUNK):
        part = calls[begin : begin + HAR_CHUNK]
        yield ("," if begin else "") + ",".join(await anyio.to_thread.run_sync(entries, part))
    yield after


def _newest(calls: Sequence[LazyCall], wanted: CallFilter) -> Sequence[LazyCall]:
    """Return the newest calls, if the filter limits their number with ``last``."""
    return calls if wanted.last is None else calls[-wanted.last :]


def _add_exports(router: APIRouter, journal: Journal, version: str) -> None:
    """Add the routes that export calls, as a stream and as a file."""

    @router.get("/calls/stream", response_class=EventSourceResponse)
    async def stream_calls(
        request: Request,
        wanted: Annotated[StreamFilter, Query()],
        last_event_id: Annotated[
            str | None,
            Header(
                description="Number of the last call that the client received, to resume a stream. It "
                "overrides `after`."
            ),
        ] = None,
    ) -> AsyncGenerator[ServerSentEvent]:
        """Stream recorded calls as server-sent events.

        Each call is sent when it ends, as `event: call`. The `id` of the event is the number of the call. To
        resume a stream, send the header `Last-Event-ID`.

        `event: gap` means that the emulator deleted recorded calls before the client read them. In its data,
        `missed` is the number of deleted calls. `event: restart` means that the server was restarted, and
        numbers its calls from 1 again. In its data, `last` is the number of the newest call. After this
        event, all calls since the restart are sent.
        """
        # A database that cannot be used now does not end the stream.
        with contextlib.suppress(StoreUnavailable):
            await journal.catch_up()
        after = journal.last if wanted.after is None else wanted.after
        has_restarted = False
        if last_event_id is not None and re.fullmatch(r"\d{1,18}", last_event_id):
            after = int(last_event_id)
            # No call has that number yet, so the number is from before a restart of the server.
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

    @router.get("/calls.har", response_class=JSONResponse)
    async def export_calls(wanted: Annotated[CallFilter, Query()]) -> StreamingResponse:
        """Export calls as an HTTP archive (HAR 1.2).

        Secrets are masked. Without `limit`, all matching calls are exported.
        """
        found = await journal.read(wanted, wanted.after, lambda calls: _newest(calls, wanted))
        if "limit" in wanted.model_fields_set:
            found = found[: wanted.limit]
        headers = {"Content-Disposition": 'attachment; filename="calls.har"'}
        return StreamingResponse(
            _har(journal, found, version), media_type="application/json", headers=headers
        )
