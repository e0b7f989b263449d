"""Progressions, which decide when a task appears finished to the client."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Mode(StrEnum):
    """What makes a task appear finished."""

    REAL = "real"
    """The end of the work."""
    IMMEDIATE = "immediate"
    """Its creation: the task is finished before the response to the call that creates it."""
    AFTER_POLLS = "after_polls"
    """A number of polls that return a running task. The next poll returns a finished one."""
    AFTER_SECONDS = "after_seconds"
    """A number of seconds since the creation, by the emulator's clock."""
    MANUAL = "manual"
    """Only a call of the control API."""


class Progression(BaseModel):
    """When the tasks of a credential appear finished."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = Field(
        default=Mode.REAL,
        description="When a task appears finished: at the end of its work (`real`), before the response "
        "to its creation is sent (`immediate`), after a number of polls or seconds, or by a call of the "
        "control API "
        "(`manual`).",
    )
    polls: int | None = Field(
        default=None,
        ge=0,
        description="For `after_polls`: number of polls that return a running task; otherwise null.",
    )
    seconds: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="For `after_seconds`: seconds since the creation, by the clock; otherwise null.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for mode, name in ((Mode.AFTER_POLLS, "polls"), (Mode.AFTER_SECONDS, "seconds")):
            if (self.mode is mode) != (getattr(self, name) is not None):
                raise ValueError(f"`{name}` must be given with the mode {mode}, and only with it")
        return self

    def is_due(self, *, polls: int, elapsed_s: float) -> bool:
        """Return whether a task may appear finished, ``elapsed_s`` seconds after its creation."""
        if self.mode is Mode.AFTER_POLLS:
            return polls > (self.polls or 0)
        if self.mode is Mode.AFTER_SECONDS:
            return elapsed_s >= (self.seconds or 0.0)
        return self.mode is not Mode.MANUAL

    def to_document(self) -> dict[str, Any]:
        """Return the progression as a JSON object."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Progression:
        """Return the progression that ``to_document`` wrote."""
        return cls.model_validate(document)


REAL = Progression()
"""Tasks appear finished when their work is done."""

MANUAL = Progression(mode=Mode.MANUAL)
"""Tasks appear finished when a tester ends them."""
