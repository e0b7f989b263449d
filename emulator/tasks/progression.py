"""Progressions: settings that decide when a task appears finished to the client."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Mode(StrEnum):
    """When a task appears finished to the client.

    In every mode, the work must be done first. So in the mode ``immediate``, the response to the call that
    creates the task waits until the work is done.
    """

    REAL = "real"
    """At the end of the work."""
    IMMEDIATE = "immediate"
    """Before the response to the call that creates the task."""
    AFTER_POLLS = "after_polls"
    """After a number of polls that return a running task. The next poll returns the finished task."""
    AFTER_SECONDS = "after_seconds"
    """A number of seconds after the creation, by the clock of the credential."""
    MANUAL = "manual"
    """When a tester ends the task with the control API."""


class Progression(BaseModel):
    """A setting that decides when a task appears finished to the client."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = Field(
        default=Mode.REAL,
        description="When a task appears finished. `real`: when its work is done. `immediate`: before the "
        "response to the call that creates it. `after_polls`, `after_seconds`: after a number of polls or "
        "seconds. `manual`: when you end it with the control API.",
    )
    polls: int | None = Field(
        default=None,
        ge=0,
        description="Number of polls that return a running task; only for `after_polls`. The next poll "
        "returns the finished task.",
    )
    seconds: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Seconds from the creation to the end, by the credential's clock; only for "
        "`after_seconds`.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for mode, name in ((Mode.AFTER_POLLS, "polls"), (Mode.AFTER_SECONDS, "seconds")):
            if (self.mode is mode) != (getattr(self, name) is not None):
                raise ValueError(f"`{name}` must be given with the mode {mode}, and only with it")
        return self

    def is_due(self, *, polls: int, elapsed_s: float) -> bool:
        """Return whether a task may appear finished, after ``polls`` polls and ``elapsed_s`` seconds."""
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


# Without validation, which the start would have to build.
REAL = Progression.model_construct()
"""The progression of tasks that appear finished when their work is done."""

MANUAL = Progression.model_construct(mode=Mode.MANUAL)
"""The progression of tasks that appear finished when a tester ends them."""
