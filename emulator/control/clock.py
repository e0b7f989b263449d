"""Routes for the clock of a credential, or the default clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from emulator.clock import Clock, Setting
from emulator.control.dependencies import CredentialDep
from emulator.world.clocks import Clocks

LAST = 253370764800.0
"""Latest time that a clock can be set to: 9999-01-01 UTC, a year before the end of datetime's range."""


def _seconds(moment: float | datetime) -> float:
    """Return a moment in seconds since the Unix epoch."""
    if isinstance(moment, datetime):
        # Without a zone, assume UTC, so that a call has the same result on every machine.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return moment


def _within_reach(moment: float | datetime) -> float | datetime:
    if not 0 <= _seconds(moment) <= LAST:
        raise ValueError("the time is out of range; choose one from 1970-01-01 to 9999-01-01, UTC")
    return moment


Seconds = Annotated[float, Field(strict=True)]
"""A number. Booleans and text are refused."""

# ``Seconds`` comes first: for ``datetime``, pydantic would read a large number as milliseconds.
Moment = Annotated[Seconds | datetime, AfterValidator(_within_reach)]
"""Seconds since the Unix epoch, or ISO 8601 text, in UTC unless it has a zone."""


class ClockReading(BaseModel):
    """The time and the state of a clock."""

    now: float = Field(description="Seconds since the Unix epoch.")
    iso: str = Field(description="The same time in UTC, as ISO 8601.")
    frozen: bool = Field(description="Whether the clock is frozen.")
    own: bool = Field(
        description="For a credential: whether it has its own clock; if not, it follows the default clock. "
        "For the default clock: whether it was changed; if not, it follows the settings."
    )


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Freeze(_Body):
    """The time at which to freeze the clock."""

    at: Moment | None = Field(
        default=None, description="Seconds since the Unix epoch, or ISO 8601; omit it for the current time."
    )


class Advance(_Body):
    """The number of seconds to add to the clock."""

    seconds: Seconds = Field(ge=0, le=LAST, allow_inf_nan=False, description="Seconds to add.")


class Travel(_Body):
    """The time to set the clock to."""

    to: Moment = Field(description="Seconds since the Unix epoch, or ISO 8601, in UTC unless it has a zone.")


def clock_router(clock: Clock, clocks: Clocks) -> APIRouter:
    """Return the routes for the clock."""
    router = APIRouter(prefix="/clock", tags=["clock"])

    def read(credential: str) -> ClockReading:
        now = clock.now(credential)
        return ClockReading(
            now=now,
            iso=datetime.fromtimestamp(now, UTC).isoformat(),
            frozen=clock.setting(credential).frozen_at is not None,
            own=credential in clock.settings(),
        )

    async def change(credential: str, change: Callable[[Setting], Setting]) -> ClockReading:
        await clocks.change(credential, change)
        return read(credential)

    @router.get("")
    async def read_clock(credential: CredentialDep) -> ClockReading:
        """Return the time of a clock."""
        return read(credential)

    @router.post("/freeze")
    async def freeze(credential: CredentialDep, body: Freeze | None = None) -> ClockReading:
        """Freeze the clock.

        The clock stops at its current time, or at the time in the body.
        """
        at = None if body is None or body.at is None else _seconds(body.at)
        return await change(credential, lambda setting: setting.frozen(at))

    @router.post("/run")
    async def run(credential: CredentialDep) -> ClockReading:
        """Start a frozen clock again.

        The clock continues from the time that it shows.
        """
        return await change(credential, Setting.running)

    @router.post("/advance")
    async def advance(credential: CredentialDep, body: Advance) -> ClockReading:
        """Move the clock forward.

        A frozen clock stays frozen, and a running clock keeps running.
        """
        return await change(credential, lambda setting: _advanced(setting, body.seconds))

    @router.post("/travel")
    async def travel(credential: CredentialDep, body: Travel) -> ClockReading:
        """Set the clock to a time.

        The time may be in the past. A frozen clock stays frozen, and a running clock keeps running.
        """
        moment = _seconds(body.to)
        return await change(credential, lambda setting: setting.moved(moment))

    @router.delete("")
    async def reset_clock(credential: CredentialDep) -> ClockReading:
        """Reset the clock.

        With `credential`, that credential follows the default clock again. Without it, the default clock
        follows the settings again.
        """
        await clocks.forget(credential)
        return read(credential)

    return router


def _advanced(setting: Setting, seconds: float) -> Setting:
    if setting.now() + seconds > LAST:
        raise HTTPException(422, "the clock cannot go past 9999-01-01 UTC; advance it by fewer seconds")
    return setting.advanced(seconds)
