"""What a tester wants to go wrong with a webhook."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Signature = Literal["good", "wrong", "missing", "stale"]
"""How an attempt is signed."""

STALE_SECONDS = 3600
"""How old the timestamp of a stale signature is."""


class WebhookFault(BaseModel):
    """What goes wrong with a webhook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lost: bool = Field(default=False, description="Never sent, and no attempt of it is made again.")
    copies: int = Field(default=1, ge=1, le=10, description="How often each attempt is sent.")
    delay_s: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="By the clock, before the first attempt."
    )
    signature: Signature = Field(
        default="good", description="`stale`: signed well, with a timestamp of an hour ago."
    )


NO_FAULT = WebhookFault()
"""Nothing goes wrong."""
