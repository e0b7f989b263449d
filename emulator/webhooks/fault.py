"""Faults of webhooks."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Signature = Literal["good", "wrong", "missing", "stale"]
"""How an attempt is signed. ``stale`` is a valid signature with an old timestamp."""

STALE_SECONDS = 3600
"""Age of the timestamp of a stale signature, in seconds."""


class WebhookFault(BaseModel):
    """A fault of a webhook. It applies to every attempt to send the webhook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lost: bool = Field(default=False, description="The webhook is never sent.")
    copies: int = Field(
        default=1, ge=1, le=10, description="Number of times that each attempt sends the webhook."
    )
    delay_s: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds before the first attempt, by the credential's clock.",
    )
    signature: Signature = Field(
        default="good",
        description="`good`: a valid signature. `wrong`: an invalid signature. `missing`: no signature. "
        "`stale`: a valid signature with a timestamp that is one hour old.",
    )


NO_FAULT = WebhookFault.model_construct()  # without validation, which the start would have to build
"""A fault that changes nothing."""
