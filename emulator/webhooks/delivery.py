"""What is delivered, to whom, how often it was tried, and when it is tried next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import TypeAdapter

from emulator.ids import hash_text
from emulator.webhooks.fault import NO_FAULT, WebhookFault

LONGEST_RETRY_AFTER_SECONDS = 86400.0
"""Nobody is waited for longer than this, whatever ``Retry-After`` says."""


Timestamps = Literal["machine", "clock"]
"""Whose time an endpoint's webhooks are stamped with: the receiver's own, which is the machine's, or that of
the clock that testers move, which a receiver refuses that is not moved with it."""


@dataclass(frozen=True)
class Endpoint:
    """Where webhooks go.

    Attributes
    ----------
    id : str
        Its own name.
    credential : str
        The credential whose tasks it hears of; ``""`` for everybody's.
    vendor : str
        Whose webhooks; ``""`` for every vendor's.
    url : str
        What is posted to.
    secret : str
        What they are signed with, as the vendor spells it.
    timestamps : {'machine', 'clock'}
        Whose time they are stamped with: the machine's, or that of the clock that testers move.
    is_configured : bool
        Whether it comes from the settings.
    disabled : str or None
        Why nothing is sent to it any more.
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
    """What an endpoint is told: the same id and the same bytes at every attempt."""

    id: str
    body: bytes


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PREPARED = "prepared"
    """The end of its task is not recorded yet."""
    HELD = "held"
    """The plan of its credential says when it is sent."""
    WAITING = "waiting"
    """For its next attempt."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """There is no attempt left, or no endpoint."""
    LOST = "lost"
    """On purpose."""


@dataclass(frozen=True)
class Attempt:
    """A request that was sent, or could not be.

    Attributes
    ----------
    number : int
        Which attempt it belongs to, from 1; several copies of one have the same.
    at : float
        When it began, by the credential's clock.
    ms : int
        How long it took, in real time.
    status : int or None
        What the endpoint answered.
    error : str or None
        Why it did not.
    retry_after : str or None
        What it asked for.
    injected : mapping
        What was wrong with it on purpose.
    is_replay : bool
        Whether somebody asked for it.
    """

    number: int
    at: float
    ms: int
    status: int | None = None
    error: str | None = None
    retry_after: str | None = None
    injected: Mapping[str, Any] | None = None
    is_replay: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether the endpoint took it: any status of 200 to 299."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint wants nothing more."""
        return self.status == 410


@dataclass(frozen=True)
class Policy:
    """How hard deliveries are tried.

    Attributes
    ----------
    gaps_s : tuple of float
        Before each attempt, in seconds since the beginning of the one before it.
    timeout_s : float
        What an attempt may take, in real time.
    most_endpoints : int
        How many a credential may have.
    """

    gaps_s: tuple[float, ...]
    timeout_s: float
    most_endpoints: int

    def next_at(self, attempts: Sequence[Attempt]) -> float | None:
        """Return when to try again after ``attempts``, or None if that was the last."""
        last = attempts[-1]
        if last.number >= len(self.gaps_s):
            return None
        wished = _retry_moment(last)
        scheduled = last.at + self.gaps_s[last.number]
        return scheduled if wished is None else max(scheduled, wished)


@dataclass(frozen=True)
class Delivery:
    """One message on its way to one endpoint.

    Attributes
    ----------
    id : str
        Follows from task and endpoint: the same task is announced once.
    credential, vendor, task_id, endpoint_id, url : str
        Whose it is, what it tells of, and where it goes.
    message : Message or None
        What is told, once the end of the task is recorded.
    state : DeliveryState
        Where it stands.
    next_at : float
        When the next attempt is due, by the credential's clock.
    attempts : tuple of Attempt
        What was sent.
    fault : WebhookFault
        What is to go wrong.
    source : str or None
        On whose account.
    reason : str or None
        Why it failed.
    """

    id: str
    credential: str
    vendor: str
    task_id: str
    endpoint_id: str
    url: str
    message: Message | None = None
    state: DeliveryState = DeliveryState.PREPARED
    next_at: float = 0.0
    attempts: tuple[Attempt, ...] = ()
    fault: WebhookFault = NO_FAULT
    source: str | None = None
    reason: str | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the delivery as a JSON object."""
        message = self.message
        return {
            **asdict(replace(self, fault=NO_FAULT, message=None)),
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
                **document,
                "message": None if message is None else Message(message["id"], message["body"].encode()),
                "state": DeliveryState(document["state"]),
                "attempts": tuple(Attempt(**attempt) for attempt in document["attempts"]),
                "fault": WebhookFault.model_validate(document["fault"]),
            }
        )


def delivery_id(task_id: str, endpoint_id: str) -> str:
    """Return the id of the one delivery that tells an endpoint of a task."""
    return f"dlv_{hash_text(f'{task_id}{chr(0)}{endpoint_id}')}"


def release(
    delivery: Delivery, message: Message, fault: WebhookFault, source: str | None, now: float, *, hold: bool
) -> Delivery:
    """Return a prepared delivery with what it says, due as ``fault`` has it or held; any other as it is."""
    if delivery.state is not DeliveryState.PREPARED:
        return delivery
    state = DeliveryState.LOST if fault.lost else DeliveryState.HELD if hold else DeliveryState.WAITING
    next_at = now + fault.delay_s
    return replace(delivery, message=message, state=state, next_at=next_at, fault=fault, source=source)


def let_go(delivery: Delivery, at: float | None = None) -> Delivery:
    """Return a held delivery as due ``at`` a moment, or when its fault has it; any other as it is."""
    if delivery.state is not DeliveryState.HELD:
        return delivery
    return replace(delivery, state=DeliveryState.WAITING, next_at=delivery.next_at if at is None else at)


def lose(delivery: Delivery) -> Delivery:
    """Return a held delivery as never to be sent, on its plan's account; any other as it is."""
    if delivery.state is not DeliveryState.HELD:
        return delivery
    fault = delivery.fault.model_copy(update={"lost": True})
    return replace(delivery, state=DeliveryState.LOST, fault=fault, source="the plan")


def record(delivery: Delivery, sent: Sequence[Attempt], policy: Policy) -> Delivery:
    """Return ``delivery`` after the copies of an attempt."""
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
    """Return ``delivery`` as failed, unless it came to an end already."""
    if delivery.state not in {DeliveryState.PREPARED, DeliveryState.HELD, DeliveryState.WAITING}:
        return delivery
    return replace(delivery, state=DeliveryState.FAILED, reason=reason)


def _retry_moment(attempt: Attempt) -> float | None:
    """Return the moment that ``Retry-After`` names, in seconds or as a date (RFC 9110, 10.2.3)."""
    if attempt.retry_after is None:
        return None
    text = attempt.retry_after.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):  # a zone may be further away than a time can say
            return None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - attempt.at
    return attempt.at + min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
