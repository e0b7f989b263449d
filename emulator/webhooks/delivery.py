"""Endpoints, messages, deliveries and their attempts, and the retry policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from emulator.clock import Count, Moment
from emulator.ids import hash_text
from emulator.webhooks.fault import NO_FAULT, WebhookFault

LONGEST_RETRY_AFTER_SECONDS = 86400.0
"""Longest wait that ``Retry-After`` can request, in seconds. Longer waits are shortened to it."""


Timestamps = Literal["machine", "clock"]
"""Clock for the timestamps in signatures of webhooks: the machine's clock, or the credential's clock.

With ``clock``, an endpoint that checks timestamps must use the time of the credential's clock, too.
"""


@dataclass(frozen=True)
class Endpoint:
    """A URL that webhooks are sent to.

    Attributes
    ----------
    id : str
        Id of the endpoint.
    credential : str
        Credential whose tasks are announced to the endpoint; ``""`` for all credentials.
    vendor : str
        Vendor that sends webhooks to the endpoint; ``""`` for all vendors.
    url : str
        URL to post webhooks to.
    secret : str
        Signing secret, in the format of the vendor.
    timestamps : {'machine', 'clock'}
        Clock for the timestamps in signatures: the machine's clock, or the credential's clock.
    is_configured : bool
        Whether the endpoint comes from the settings.
    disabled : str or None
        Why no more webhooks are sent to the endpoint; None if it is enabled.
    """

    id: str
    credential: str
    vendor: str
    url: str
    secret: str
    timestamps: Timestamps = "machine"
    is_configured: bool = False
    disabled: str | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the endpoint as a JSON object."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Endpoint:
        """Return the endpoint that ``to_document`` wrote."""
        return TypeAdapter(cls).validate_python(document)


@dataclass(frozen=True)
class Message:
    """The content of a webhook. Every attempt to send it has the same id and the same bytes."""

    id: str
    body: bytes


class DeliveryState(StrEnum):
    """State of a delivery."""

    PREPARED = "prepared"
    """The end of the task is not recorded yet."""
    HELD = "held"
    """A plan decides when the webhook is sent."""
    WAITING = "waiting"
    """The next attempt is due now or later."""
    DELIVERED = "delivered"
    """The endpoint has accepted the webhook."""
    FAILED = "failed"
    """All attempts failed, or the endpoint was removed or disabled."""
    LOST = "lost"
    """The webhook is not sent, because of a fault or a plan."""


ENDED = frozenset({DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.LOST})
"""States of deliveries that are never sent again, unless a tester requests it."""


class AttemptResult(StrEnum):
    """How an attempt ended."""

    ACCEPTED = "accepted"
    """The endpoint answered with a status from 200 to 299."""
    REFUSED = "refused"
    """The endpoint answered with another status."""
    UNANSWERED = "unanswered"
    """There was no response."""


@dataclass(frozen=True)
class Attempt:
    """One try to send a webhook to an endpoint.

    Attributes
    ----------
    number : int
        Number of the attempt, from 1. The copies that a fault adds to an attempt have the same number.
    at : float
        Start, in seconds since the Unix epoch, by the clock of the credential.
    ms : int
        Duration in real milliseconds.
    status : int or None
        Status of the response; None if there was no response.
    error : str or None
        Why there was no response.
    retry_after : str or None
        ``Retry-After`` header of the response.
    injected : mapping or None
        The fault that was applied. Its member ``source`` says what requested the fault.
    is_replay : bool
        Whether a tester requested the attempt, outside the vendor's retry schedule.
    """

    number: Annotated[Count, Field(ge=1)]
    at: Moment
    ms: Count
    status: Count | None = None
    error: str | None = None
    retry_after: str | None = None
    injected: Mapping[str, Any] | None = None
    is_replay: bool = False

    @property
    def result(self) -> AttemptResult:
        """How the attempt ended."""
        if self.status is None:
            return AttemptResult.UNANSWERED
        return AttemptResult.ACCEPTED if 200 <= self.status < 300 else AttemptResult.REFUSED

    @property
    def is_accepted(self) -> bool:
        """Whether the endpoint accepted the webhook."""
        return self.result is AttemptResult.ACCEPTED

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint answered 410, which means that the endpoint wants no more webhooks."""
        return self.status == 410


@dataclass(frozen=True)
class Policy:
    """Retry policy and limits of a vendor's webhooks.

    Attributes
    ----------
    gaps_s : tuple of float
        For each attempt, the seconds from the start of the previous attempt to the start of this attempt. The
        first number is not used.
    timeout_s : float
        Timeout of an attempt, in real seconds.
    most_endpoints : int
        Largest number of endpoints of a credential.
    """

    gaps_s: tuple[float, ...]
    timeout_s: float
    most_endpoints: int

    def next_at(self, attempts: Sequence[Attempt]) -> float | None:
        """Return the time of the attempt after ``attempts``, or None if there is no further attempt."""
        last = attempts[-1]
        if last.number >= len(self.gaps_s):
            return None
        wished = _retry_moment(last)
        scheduled = last.at + self.gaps_s[last.number]
        return scheduled if wished is None else max(scheduled, wished)


@dataclass(frozen=True)
class Delivery:
    """One webhook message to one endpoint, with all attempts to send it.

    Attributes
    ----------
    id : str
        Id, derived from the task and the endpoint, so that a task is announced only once to an endpoint.
    credential, vendor, task_id, endpoint_id, url : str
        The task that the webhook announces, and the endpoint that it is sent to.
    message : Message or None
        The message; None until the end of the task is recorded.
    state : DeliveryState
        State of the delivery.
    next_at : float
        Time of the next attempt, by the clock of the credential.
    attempts : tuple of Attempt
        All attempts so far, with replays and copies.
    fault : WebhookFault
        The fault to apply to every attempt; ``NO_FAULT`` for none.
    source : str or None
        What requested the fault, such as ``rule <id>``.
    reason : str or None
        Why the delivery failed.
    owner : str
        Id of the replica that sends the delivery or, while a plan holds it back, that follows the plan.
    """

    id: str
    credential: str
    vendor: str
    task_id: str
    endpoint_id: str
    url: str
    message: Message | None = None
    state: DeliveryState = DeliveryState.PREPARED
    next_at: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    attempts: tuple[Attempt, ...] = ()
    fault: WebhookFault = NO_FAULT
    source: str | None = None
    reason: str | None = None
    owner: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether the delivery is never sent again, unless a tester requests it."""
        return self.state in ENDED

    def to_document(self) -> dict[str, Any]:
        """Return the delivery as a JSON object.

        Its member ``ended`` is null until the delivery has ended, so that the database can find unfinished
        deliveries.
        """
        message = self.message
        return {
            **asdict(replace(self, fault=NO_FAULT, message=None)),
            "ended": True if self.has_ended else None,
            "attempts": [asdict(attempt) for attempt in self.attempts],
            "message": None if message is None else {"id": message.id, "body": message.body.decode()},
            "fault": self.fault.model_dump(exclude_defaults=True),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Delivery:
        """Return the delivery that ``to_document`` wrote."""
        message = document["message"]
        return cls(
            **{
                **{name: value for name, value in document.items() if name != "ended"},
                "message": None if message is None else Message(message["id"], message["body"].encode()),
                "state": DeliveryState(document["state"]),
                "attempts": tuple(Attempt(**attempt) for attempt in document["attempts"]),
                "fault": WebhookFault.model_validate(document["fault"]),
            }
        )


def delivery_id(task_id: str, endpoint_id: str) -> str:
    """Return the id of the delivery that announces a task to an endpoint."""
    return f"dlv_{hash_text(f'{task_id}{chr(0)}{endpoint_id}')}"


def with_message(
    delivery: Delivery, message: Message, fault: WebhookFault, source: str | None, now: float, *, hold: bool
) -> Delivery:
    """Add the message to a prepared delivery, set its new state, and return it.

    The new state is ``lost`` if the fault loses the webhook. Otherwise, it is ``held`` if ``hold`` is true,
    and ``waiting`` if not. A delivery that is not in the state ``prepared`` is returned unchanged.
    """
    if delivery.state is not DeliveryState.PREPARED:
        return delivery
    state = DeliveryState.LOST if fault.lost else DeliveryState.HELD if hold else DeliveryState.WAITING
    next_at = now + fault.delay_s
    return replace(delivery, message=message, state=state, next_at=next_at, fault=fault, source=source)


def unheld(delivery: Delivery, at: float | None = None) -> Delivery:
    """Change a held delivery to the state ``waiting``, and return it.

    ``at`` replaces the time of the first attempt. A delivery in another state is returned unchanged.
    """
    if delivery.state is not DeliveryState.HELD:
        return delivery
    return replace(delivery, state=DeliveryState.WAITING, next_at=delivery.next_at if at is None else at)


def lose(delivery: Delivery) -> Delivery:
    """Change a held delivery to the state ``lost``, so that it is never sent, and return it.

    A delivery in another state is returned unchanged.
    """
    if delivery.state is not DeliveryState.HELD:
        return delivery
    fault = delivery.fault.model_copy(update={"lost": True})
    return replace(delivery, state=DeliveryState.LOST, fault=fault, source="the plan")


def record(delivery: Delivery, sent: Sequence[Attempt], policy: Policy) -> Delivery:
    """Return ``delivery`` with the result of an attempt. ``sent`` has the attempt and its copies."""
    attempts = (*delivery.attempts, *sent)
    delivery = replace(delivery, attempts=attempts)
    if any(attempt.is_accepted for attempt in sent):
        return replace(delivery, state=DeliveryState.DELIVERED, reason=None)
    if delivery.state is not DeliveryState.WAITING or sent[-1].is_replay:
        return delivery
    if any(attempt.is_gone for attempt in sent):
        return fail(delivery, "the endpoint answered 410")
    next_at = policy.next_at(attempts)
    if next_at is None:
        return fail(delivery, "no attempt is left")
    return replace(delivery, next_at=next_at)


def fail(delivery: Delivery, reason: str) -> Delivery:
    """Change an unfinished delivery to the state ``failed``, and return it. Return an ended one unchanged."""
    if delivery.has_ended:
        return delivery
    return replace(delivery, state=DeliveryState.FAILED, reason=reason)


def _retry_moment(attempt: Attempt) -> float | None:
    """Return the Unix time from which ``Retry-After`` allows the next attempt (RFC 9110, 10.2.3).

    Return None if the header is missing or invalid.
    """
    if attempt.retry_after is None:
        return None
    text = attempt.retry_after.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):  # the date or its zone is out of range
            return None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - attempt.at
    return attempt.at + min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
