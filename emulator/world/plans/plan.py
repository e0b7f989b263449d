"""A plan: a script that fixes the order of polls and webhooks for the tasks of a credential."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class When(StrEnum):
    """The point at which a plan sends a webhook, relative to the client's calls."""

    BEFORE_CREATION = "before_creation"
    """Before the response to the call that creates the task. The client does not know the task's id yet."""
    BEFORE_END = "before_end"
    """After the last poll that reports a running task, before the first poll that reports a finished task."""
    AFTER_END = "after_end"
    """After the first poll that reports a finished task."""


class Step(StrEnum):
    """A recorded event of a task: its creation, a poll, or a webhook."""

    CREATED = "created"
    POLL_RUNNING = "poll_running"
    POLL_END = "poll_end"
    WEBHOOK_SENT = "webhook_sent"
    """A webhook was sent, and the endpoint has not answered yet."""
    WEBHOOK_TAKEN = "webhook_taken"
    """A webhook was sent, and the endpoint accepted it."""
    WEBHOOK_REFUSED = "webhook_refused"
    """A webhook was sent, and the endpoint did not accept it."""


Seconds = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]


class Plan(BaseModel):
    """An order of polls and webhooks for the tasks of a credential.

    A plan without `polls` and `webhooks` changes nothing. It only records the events.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    polls: int | None = Field(
        default=None,
        ge=0,
        description="Number of polls that report a running task. The next poll reports the end. If null, the "
        "plan does not change polls, and only records them.",
    )
    webhooks: tuple[When, ...] | None = Field(
        default=None,
        max_length=10,
        description="When to send webhooks for the end of a task. For each item, one webhook is sent to "
        "every endpoint. If the list is empty, none are sent. If null, the plan does not change webhooks, "
        "and only records them.",
    )
    pause_s: Seconds = Field(
        default=0.2,
        description="Real seconds to wait after the response to a creation or a poll, before the plan sends "
        "a webhook or ends the task. The next poll ends the wait early.",
    )
    patience_s: Seconds = Field(
        default=3.0,
        description="Real seconds to wait for a poll. After that, the plan continues without the poll.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.polls is None) != (self.webhooks is None):
            raise ValueError("`polls` and `webhooks` must be given together")
        if When.BEFORE_CREATION in (self.webhooks or ()) and self.polls:
            raise ValueError("with `before_creation`, `polls` must be 0: the task ends before the first poll")
        return self

    @property
    def is_recording_only(self) -> bool:
        """Whether the plan only records events."""
        return self.webhooks is None

    def count(self, when: When) -> int:
        """Return the number of webhooks that each endpoint gets at the point ``when``."""
        return (self.webhooks or ()).count(when)
