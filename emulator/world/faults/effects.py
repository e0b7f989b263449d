"""Effects: what a fault does to a call. A preset is an effect with a name, such as ``slow``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise, product
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from emulator.pipelines.common import PictureFault
from emulator.webhooks.fault import NO_FAULT, WebhookFault
from emulator.world.text import Text

Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


class Data(BaseModel):
    """Base class of the models that a tester sends. Instances are immutable. Unknown members are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(Data):
    """Delay of a response. Exactly one member is given; the others are null.

    The delay is in real time, because clients measure their timeouts in real time.
    """

    seconds: Seconds | None = Field(default=None, description="Fixed delay in seconds.")
    between: tuple[Seconds, Seconds] | None = Field(
        default=None,
        description="Shortest and longest delay in seconds. Each delay is random between the two.",
    )
    percentiles: Mapping[Annotated[float, Field(ge=0, le=100)], Seconds] | None = Field(
        default=None,
        description="Delay in seconds by percentile, such as `{50: 0.2, 95: 1.5, 100: 8}`. Between two "
        "percentiles, the delay is interpolated linearly. Percentile 0 is 0 s by default.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(given is not None for given in (self.seconds, self.between, self.percentiles)) != 1:
            raise ValueError("give exactly one of `seconds`, `between` and `percentiles`")
        if self.percentiles is not None and not self.percentiles:
            raise ValueError("`percentiles` is empty")
        return self

    def drawn(self, chance: float) -> float:
        """Return the delay in seconds for ``chance``, a uniform random number from 0 to 1."""
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
    """A slow response body, which is sent in small chunks."""

    chunk_bytes: int = Field(default=16, ge=1, description="Number of bytes in each chunk.")
    pause_s: Seconds = Field(default=0.1, description="Real seconds between two chunks.")


def _latency(value: object) -> object:
    """Convert a bare number to a latency of that many seconds."""
    return {"seconds": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


EXCLUSIVE: Sequence[tuple[Sequence[str], Sequence[str], str]] = (
    (
        ("proxy_page",),
        ("error", "connection", "body", "content_type", "drip", "task", "picture"),
        "the proxy page replaces the vendor's whole response",
    ),
    (
        ("connection: closed", "connection: reset"),
        ("error", "body", "content_type", "drip", "task", "picture"),
        "the connection ends before the call is processed",
    ),
    (("connection: answer_lost",), ("body", "content_type", "drip"), "no part of the response is sent"),
    (
        ("connection: midway",),
        ("body: truncated", "body: empty", "drip"),
        "half of the body is sent at once, then the connection is reset",
    ),
    (("body: truncated",), ("drip",), "half of the body is sent at once, then the connection is closed"),
    (("body: empty",), ("drip",), "an empty body has no chunks"),
)
"""Members of an effect that exclude each other.

Each item has two tuples and a reason. A member of the first tuple cannot be combined with a member of
the second tuple.
"""


NOTHING: Mapping[str, object] = {"webhook": NO_FAULT, "picture": PictureFault.model_construct()}
"""Values of an effect's members that change nothing. Null also changes nothing."""


class Effect(Data):
    """What a fault does to a call.

    Most members can be combined. A member that is null does nothing.
    """

    error: Text | None = Field(
        default=None,
        description="Name of an error, as in `GET /_emulator/errors`. If the error's `of_task` is true, the "
        "call succeeds, and the task that the call creates ends with the error.",
    )
    places: Mapping[Text, Text] = Field(
        default_factory=dict, description="Values for placeholders in the error's text, such as `{param}`."
    )
    latency: Annotated[
        Latency | None, BeforeValidator(_latency, json_schema_input_type=Seconds | Latency | None)
    ] = Field(
        default=None,
        description="Delay of the response in real time: a number of seconds, `{between: [1, 3]}` or "
        "`{percentiles: {50: 0.2, 99: 4}}`.",
    )
    connection: Literal["closed", "reset", "answer_lost", "midway"] | None = Field(
        default=None,
        description="`closed`: the connection is closed (FIN) before the call is processed. `reset`: the "
        "connection is reset (RST) before the call is processed. `answer_lost`: the call is processed, but "
        "no response is sent. `midway`: the connection is reset after half of the response body.",
    )
    body: Literal["truncated", "malformed", "empty"] | None = Field(
        default=None,
        description="`truncated`: half of the body, with the `Content-Length` of the whole body. "
        "`malformed`: half of the body, with the `Content-Length` of that half. `empty`: no body.",
    )
    drip: Drip | None = Field(default=None, description="Sends the body slowly, in small chunks.")
    content_type: str | None = Field(
        default=None, pattern=r"^[ -~]+$", description="`Content-Type` to send instead of the correct one."
    )
    proxy_page: int | None = Field(
        default=None,
        ge=500,
        le=599,
        description="Status of an HTML error page, as from a proxy, that replaces the response.",
    )
    task: Literal["stuck"] | None = Field(
        default=None,
        description="`stuck`: the task that the call creates appears to run until you end it with the "
        "control API.",
    )
    webhook: WebhookFault | None = Field(
        default=None,
        description="Fault of webhooks. If the rule matches a webhook, the fault changes that webhook. If "
        "the rule matches a call, the fault changes the webhooks that are sent when the call's task ends.",
    )
    picture: PictureFault | None = Field(
        default=None, description="Changes to the picture in the request, before faces are detected in it."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        # ``places`` alone does nothing: it only fills the text of an error.
        if all(value in (None, NOTHING.get(name)) for name, value in self if name != "places"):
            raise ValueError("the effect does nothing")
        given = {name for name, value in self if value is not None}
        given |= {f"{name}: {value}" for name, value in self if isinstance(value, str)}
        for some, others, why in EXCLUSIVE:
            for one, other in product(some, others):
                if one in given and other in given:
                    raise ValueError(f"`{one}` and `{other}` cannot be combined: {why}")
        return self


class _Presets(Mapping[str, Effect]):
    """Effects by name. They are made when the first of them is needed, because the start needs none."""

    @cached_property
    def _effects(self) -> Mapping[str, Effect]:
        return {
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

    def __getitem__(self, name: str) -> Effect:
        return self._effects[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._effects)

    def __len__(self) -> int:
        return len(self._effects)


PRESETS = _Presets()
"""Effects by name. A rule can use such a name instead of the name of an error."""


def named(value: object) -> object:
    """Convert a name to an effect: the preset of this name or, if there is none, the error of this name."""
    if isinstance(value, str):
        return PRESETS.get(value, {"error": value})
    return value
