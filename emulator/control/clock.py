"""The clock: read, freeze, run on, advance, travel, reset; everybody's, or a credential's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from emulator.clock import Clock
from emulator.control.dependencies import CredentialDep
from emulator.world.clocks import Clocks

LAST = 253370764800.0
"""The beginning of the year 9999: a clock that runs on from there stays within what a date can say."""


def _seconds(moment: float | datetime) -> float:
    """Return a moment in seconds since the epoch."""
    if isinstance(moment, datetime):
        # A moment without a zone is not this machine's: the same call means the same everywhere.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return moment


def _within_reach(moment: float | datetime) -> float | datetime:
    if not 0 <= _seconds(moment) <= LAST:
        raise ValueError("a clock can be set to moments from 1970 to the beginning of 9999")
    return moment


Seconds = Annotated[float, Field(strict=True)]
"""A number: not `true`, and no text."""

# A number is never a date: pydantic would take a large one for milliseconds.
Moment = Annotated[Seconds | datetime, AfterValidator(_within_reach)]
"""Seconds since the epoch, or ISO 8601; UTC, if it names no zone."""


class ClockReading(BaseModel):
    """What a clock says."""

    now: float = Field(description="Seconds since the Unix epoch.")
    iso: str = Field(description="The same, in UTC, by ISO 8601.")
    frozen: bool = Field(description="Whether it stands.")
    own: bool = Field(description="Whether the credential has a clock of its own.")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Freeze(_Body):
    """Where a clock is to stand."""

    at: Moment | None = Field(default=None, description="Seconds or ISO 8601; now, if left out.")


class Advance(_Body):
    """How far a clock is to be moved on."""

    seconds: Seconds = Field(ge=0, le=LAST, allow_inf_nan=False)


class Travel(_Body):
    """Where a clock is to be set."""

    to: Moment = Field(description="Seconds since the epoch or ISO 8601; UTC, if it names no zone.")


def clock_router(clock: Clock, clocks: Clocks) -> APIRouter:
    """Return the routes of the clock."""
    router = APIRouter(prefix="/clock", tags=["clock"])

    def read(credential: str) -> ClockReading:
        now = clock.now(credential)
        return ClockReading(
            now=now,
            iso=datetime.fromtimestamp(now, UTC).isoformat(),
            frozen=clock.setting(credential).frozen_at is not None,
            own=credential in clock.settings(),
        )

    async def keep(credential: str) -> ClockReading:
        await clocks.keep(credential)
        return read(credential)

    @router.get("")
    async def read_clock(credential: CredentialDep) -> ClockReading:
        """Tell the time."""
        return read(credential)

    @router.post("/freeze")
    async def freeze(credential: CredentialDep, body: Freeze | None = None) -> ClockReading:
        """Stop the clock, now or at a moment."""
        at = body.at if body is not None else None
        clock.freeze(credential, None if at is None else _seconds(at))
        return await keep(credential)

    @router.post("/run")
    async def run(credential: CredentialDep) -> ClockReading:
        """Let the clock run on from where it is."""
        clock.run(credential)
        return await keep(credential)

    @router.post("/advance")
    async def advance(credential: CredentialDep, body: Advance) -> ClockReading:
        """Move the clock on; it stands or runs as before."""
        if clock.now(credential) + body.seconds > LAST:
            raise HTTPException(422, "a clock goes no further than to the beginning of the year 9999")
        clock.advance(body.seconds, credential)
        return await keep(credential)

    @router.post("/travel")
    async def travel(credential: CredentialDep, body: Travel) -> ClockReading:
        """Set the clock, forward or back; it stands or runs as before."""
        clock.travel(_seconds(body.to), credential)
        return await keep(credential)

    @router.delete("")
    async def reset_clock(credential: CredentialDep) -> ClockReading:
        """Give up a clock of one's own; without a credential, go back to the settings' clock."""
        await clocks.forget(credential)
        return read(credential)

    return router
