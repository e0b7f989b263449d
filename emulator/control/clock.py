"""The clock: read, freeze, run on, advance, travel, reset; everybody's, or a credential's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from emulator.backends.records import Records
from emulator.backends.records.kept import Kept
from emulator.clock import Clock, Setting
from emulator.control.scope import ScopeDep

LAST = 253370764800.0
"""The beginning of the year 9999: a clock that runs on from there stays within what a date can say."""


SETTING = TypeAdapter(Setting)


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


def _setting(document: Mapping[str, Any]) -> Setting:
    """Return a setting that was recorded, if a clock can be set so."""
    setting = SETTING.validate_python(document)
    try:
        datetime.fromtimestamp(setting.now(), UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("no date is as far away") from error
    return setting


class ClockKeeper:
    """Keeps in the records how clocks are set, so that they survive if the records do."""

    def __init__(self, clock: Clock, records: Records) -> None:
        self._clock = clock
        self.kept: Kept[Setting] = Kept(records, "clock", Setting.to_document, _setting)

    async def load(self) -> None:
        """Set the clocks as the records say, and no others."""
        await self.kept.load()
        self._clock.reset()
        for scope, entry in self.kept.items().items():
            self._clock.set(entry.value, scope)

    async def keep(self, scope: str) -> None:
        """Record how the clock of ``scope`` is set."""
        await self.kept.put(scope, scope, self._clock.setting(scope))

    async def clear(self, scope: str | None) -> None:
        """Forget how one scope, or anybody, has set its clock."""
        self._clock.reset(scope)
        await self.kept.clear(scope)

    async def forget(self, scope: str) -> None:
        """Have ``scope`` follow everybody's clock again, or everybody the settings'."""
        self._clock.reset(scope)
        await self.kept.delete(scope)


def clock_router(clock: Clock, keeper: ClockKeeper) -> APIRouter:
    """Return the routes of the clock."""
    router = APIRouter(prefix="/clock", tags=["clock"])

    def read(scope: str) -> ClockReading:
        now = clock.now(scope)
        return ClockReading(
            now=now,
            iso=datetime.fromtimestamp(now, UTC).isoformat(),
            frozen=clock.setting(scope).frozen_at is not None,
            own=scope in clock.settings(),
        )

    async def keep(scope: str) -> ClockReading:
        await keeper.keep(scope)
        return read(scope)

    @router.get("")
    async def read_clock(scope: ScopeDep) -> ClockReading:
        """Tell the time."""
        return read(scope)

    @router.post("/freeze")
    async def freeze(scope: ScopeDep, body: Freeze | None = None) -> ClockReading:
        """Stop the clock, now or at a moment."""
        at = body.at if body is not None else None
        clock.freeze(scope, None if at is None else _seconds(at))
        return await keep(scope)

    @router.post("/run")
    async def run(scope: ScopeDep) -> ClockReading:
        """Let the clock run on from where it is."""
        clock.run(scope)
        return await keep(scope)

    @router.post("/advance")
    async def advance(scope: ScopeDep, body: Advance) -> ClockReading:
        """Move the clock on; it stands or runs as before."""
        if clock.now(scope) + body.seconds > LAST:
            raise HTTPException(422, "a clock goes no further than to the beginning of the year 9999")
        clock.advance(body.seconds, scope)
        return await keep(scope)

    @router.post("/travel")
    async def travel(scope: ScopeDep, body: Travel) -> ClockReading:
        """Set the clock, forward or back; it stands or runs as before."""
        clock.travel(_seconds(body.to), scope)
        return await keep(scope)

    @router.delete("")
    async def reset_clock(scope: ScopeDep) -> ClockReading:
        """Give up a clock of one's own; without a credential, go back to the settings' clock."""
        await keeper.forget(scope)
        return read(scope)

    return router
