"""When a client is told that its task is over: set by the tester, or as long as the work takes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Mode(StrEnum):
    """What ends a task, as the client sees it."""

    REAL = "real"
    """The work: as long as it takes."""
    IMMEDIATE = "immediate"
    """Nothing: it is over before its creation is answered."""
    AFTER_POLLS = "after_polls"
    """So many polls, each of which is told that it runs."""
    AFTER_SECONDS = "after_seconds"
    """So much time, by the Clock, since its creation."""
    MANUAL = "manual"
    """A call of the control API, and nothing else."""


class Progression(BaseModel):
    """When the tasks of a credential are over, as the client sees it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = Field(default=Mode.REAL, description="What ends a task, as the client sees it.")
    polls: int | None = Field(default=None, ge=0, description="For `after_polls`.")
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="For `after_seconds`.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for mode, name in ((Mode.AFTER_POLLS, "polls"), (Mode.AFTER_SECONDS, "seconds")):
            if (self.mode is mode) != (getattr(self, name) is not None):
                raise ValueError(f"`{name}` goes with the mode {mode}, and with no other")
        return self

    def is_due(self, *, polls: int, elapsed_s: float) -> bool:
        """Return whether a task may be over, ``elapsed_s`` after its creation and after ``polls``."""
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
"""As long as the work takes."""

MANUAL = Progression(mode=Mode.MANUAL)
"""Until somebody says so."""
