"""What a fault rule does to a call: effects, and those of them that have a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from emulator.pipelines.options import PictureFault
from emulator.webhooks.fault import NO_FAULT, WebhookFault
from emulator.world.text import Text

Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


class Data(BaseModel):
    """The base of what a tester sends: frozen, and without unknown members."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(Data):
    """How long an answer is held back, in real time: what a client's timeout measures."""

    seconds: Seconds | None = Field(default=None, description="Always so long.")
    between: tuple[Seconds, Seconds] | None = Field(default=None, description="Uniformly from a range.")
    percentiles: Mapping[Annotated[float, Field(ge=0, le=100)], Seconds] | None = Field(
        default=None,
        description="From a profile such as `{50: 0.2, 95: 1.5, 100: 8}`; straight lines in between, from 0.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(given is not None for given in (self.seconds, self.between, self.percentiles)) != 1:
            raise ValueError("give one of `seconds`, `between` and `percentiles`")
        if self.percentiles is not None and not self.percentiles:
            raise ValueError("`percentiles` is empty")
        return self

    def drawn(self, chance: float) -> float:
        """Return seconds for ``chance``, which is uniform in 0 to 1."""
        if self.seconds is not None:
            return self.seconds
        if self.between is not None:
            low, high = self.between
            return low + chance * (high - low)
        profile = sorted((self.percentiles or {}).items())
        points = [(0.0, 0.0), *profile] if profile[0][0] > 0 else profile
        for (begin, low), (end, high) in pairwise(points):
            if chance * 100 <= end:
                return low + (high - low) * (chance * 100 - begin) / (end - begin)
        return points[-1][1]


class Drip(Data):
    """How slowly an answer's body comes."""

    chunk_bytes: int = Field(default=16, ge=1)
    pause_s: Seconds = Field(default=0.1, description="Between two chunks, in real time.")


def _latency(value: object) -> object:
    """Return a bare number as seconds."""
    return {"seconds": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


EXCLUSIVE: Sequence[tuple[Sequence[str], Sequence[str], str]] = (
    (
        ("proxy_page",),
        ("error", "connection", "body", "content_type", "drip", "task", "picture"),
        "the proxy answers with its page, and nothing else is done",
    ),
    (
        ("connection: closed", "connection: reset"),
        ("error", "body", "content_type", "drip", "task", "picture"),
        "nothing is done and nothing answered",
    ),
    (("connection: answer_lost",), ("body", "content_type", "drip"), "nothing of the answer arrives"),
    (
        ("connection: midway",),
        ("body: truncated", "body: empty", "drip"),
        "half of the body comes at once, and then the connection is reset",
    ),
    (("body: truncated",), ("drip",), "half of the body comes at once, and then the connection is closed"),
    (("body: empty",), ("drip",), "nothing is left to come slowly"),
)
"""Each of some effects with each of others: of the two only one would happen to a call; and why."""


NOTHING: Mapping[str, object] = {"webhook": NO_FAULT, "picture": PictureFault()}
"""Parts of an effect that can be given and say nothing."""


class Effect(Data):
    """What happens to a call that a rule matches; several can happen to one."""

    error: Text | None = Field(
        default=None, description="An error of the vendor's catalogue, by name; of a task, for a new task."
    )
    places: Mapping[Text, Text] = Field(
        default_factory=dict, description="What stands in the places of the error's text."
    )
    latency: Annotated[Latency | None, BeforeValidator(_latency)] = Field(
        default=None, description="Seconds, `{between: [1, 3]}` or `{percentiles: {50: 0.2, 99: 4}}`."
    )
    connection: Literal["closed", "reset", "answer_lost", "midway"] | None = Field(
        default=None,
        description="`closed` or `reset` before anything was done; `answer_lost` after all was; `midway` in "
        " the middle of the answer.",
    )
    body: Literal["truncated", "malformed", "empty"] | None = Field(
        default=None,
        description="`truncated`: shorter than its length says; `malformed`: cut off, as its length says; "
        "`empty`: no body at all.",
    )
    drip: Drip | None = Field(default=None, description="The body comes slowly.")
    content_type: str | None = Field(
        default=None, pattern=r"^[ -~]+$", description="Said in place of the right one."
    )
    proxy_page: int | None = Field(
        default=None,
        ge=500,
        le=599,
        description="A page of HTML with this status, as a proxy gives.",
    )
    task: Literal["stuck"] | None = Field(
        default=None, description="`stuck`: a new task runs until a call of the control API ends it."
    )
    webhook: WebhookFault | None = Field(default=None, description="What goes wrong with a webhook.")
    picture: PictureFault | None = Field(
        default=None, description="What is done to a picture before the core sees it."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        # Places are only what stands in the text of an error.
        if all(value in (None, NOTHING.get(name)) for name, value in self if name != "places"):
            raise ValueError("the effect does nothing")
        given = {name for name, value in self if value is not None}
        given |= {f"{name}: {value}" for name, value in self if isinstance(value, str)}
        for some, others, why in EXCLUSIVE:
            for one, other in product(some, others):
                if one in given and other in given:
                    raise ValueError(f"`{one}` and `{other}` do not go together: {why}")
        return self


PRESETS: Mapping[str, Effect] = {
    "slow": Effect(latency=Latency(seconds=2.0)),
    "connection-closed": Effect(connection="closed"),
    "connection-reset": Effect(connection="reset"),
    "answer-lost": Effect(connection="answer_lost"),
    "closed-midway": Effect(connection="midway"),
    "truncated": Effect(body="truncated"),
    "malformed": Effect(body="malformed"),
    "empty": Effect(body="empty"),
    "drip": Effect(drip=Drip()),
    "wrong-content-type": Effect(content_type="text/html"),
    "bad-gateway": Effect(proxy_page=502),
    "unavailable": Effect(proxy_page=503),
    "gateway-timeout": Effect(proxy_page=504),
    "stuck-task": Effect(task="stuck"),
    "webhook-lost": Effect(webhook=WebhookFault(lost=True)),
    "webhook-duplicated": Effect(webhook=WebhookFault(copies=2)),
    "webhook-delayed": Effect(webhook=WebhookFault(delay_s=60.0)),
    "webhook-badly-signed": Effect(webhook=WebhookFault(signature="wrong")),
    "picture-without-exif": Effect(picture=PictureFault(drop_exif=True)),
    "picture-rotated": Effect(picture=PictureFault(rotate_deg=90)),
    "picture-channels-swapped": Effect(picture=PictureFault(swap_channels=True)),
    "picture-shrunk": Effect(picture=PictureFault(shrink=0.25)),
    "picture-blurred": Effect(picture=PictureFault(blur=12.0)),
    "picture-truncated": Effect(picture=PictureFault(truncate=0.5)),
}
"""Effects that have a name, beside the errors of the catalogues."""


def named(value: object) -> object:
    """Return a bare name as the effect that it stands for: of the presets, or an error."""
    if isinstance(value, str):
        return PRESETS.get(value, {"error": value})
    return value
