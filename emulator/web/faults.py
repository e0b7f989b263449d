"""What a tester wants to go wrong: rules, what they match, and what they do to a call.

A rule is data. What happens to a call is decided once, when its credential is known, or at the
latest when its answer begins. Rules of the call's own credential come before rules for everybody,
older ones before newer ones, and the first that fires is the only one.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from emulator.backends.records import Records
from emulator.backends.records.kept import Kept
from emulator.clock import EVERYBODY, Clock
from emulator.pipelines.options import PictureFault
from emulator.web.catalogue import CatalogueEntry, ErrorCatalogue
from emulator.web.text import Pattern, Text
from emulator.webhooks.fault import WebhookFault

KIND = "fault"

WEBHOOK = "webhook"
"""The operation by which the emulator calls its clients."""

MOST_CREDENTIALS = 1000
"""For how many credentials a rule counts: of more, the one that was not seen for longest begins anew."""

RESERVED = "fault-"
"""How the reserved credentials begin."""

Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(_Data):
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


class Drip(_Data):
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


class Effect(_Data):
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
        if self.model_copy(update={"places": {}}) == Effect.model_construct():
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


def _named(value: object) -> object:
    """Return a bare name as the effect that it stands for: of the presets, or an error."""
    if isinstance(value, str):
        return PRESETS.get(value, {"error": value})
    return value


class Match(_Data):
    """Which calls a rule is for; what is not given matches all."""

    vendor: Text | None = None
    operation: Text | None = Field(default=None, description="As `GET /_emulator/operations` names them.")
    credential: Text | None = Field(
        default=None, min_length=1, description="The rule is this credential's, and is reset with it."
    )
    nth: int | None = Field(default=None, ge=1, description="Only the nth such call of a credential.")
    every: int | None = Field(default=None, ge=1, description="Only each such call whose number it divides.")
    probability: float | None = Field(
        default=None, ge=0, le=1, description="Only so many; which ones follows from `seed` alone."
    )
    seed: int = 0
    headers: Mapping[Text, Pattern] = Field(
        default_factory=dict, description="Regular expressions that are found in headers, by name."
    )
    body_contains: Text | None = Field(default=None, min_length=1)


class FaultRule(_Data):
    """What a tester wants to go wrong, and when."""

    match: Match = Match()
    effect: Annotated[Effect, BeforeValidator(_named)] = Field(
        description="An object, or the name of an error or of a preset effect."
    )
    count: int | None = Field(default=None, ge=1, description="It fires so often, and no more.")
    ttl_s: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="It is gone so much later, by the clock."
    )
    scenario: Text | None = Field(default=None, description="The scenario that it came with.")


@dataclass(frozen=True)
class ActiveRule:
    """A rule, and what has become of it.

    Attributes
    ----------
    rule : FaultRule
        As it was added.
    added_at : float
        By the clock of its credential.
    seen : mapping
        How many calls it matched, by credential, the one that was seen last at the end.
    fired : int
        How often it did something.
    """

    rule: FaultRule
    added_at: float
    seen: Mapping[str, int] = field(default_factory=dict)
    fired: int = 0

    @property
    def scope(self) -> str:
        """Whose rule it is."""
        return self.rule.match.credential or EVERYBODY

    @property
    def is_spent(self) -> bool:
        """Whether it has fired as often as it may."""
        return self.rule.count is not None and self.fired >= self.rule.count

    def is_over(self, now: float) -> bool:
        """Return whether it will not fire any more."""
        return self.is_spent or (self.rule.ttl_s is not None and now >= self.added_at + self.rule.ttl_s)


@dataclass(frozen=True)
class Occasion:
    """A call, or a webhook, to which something may happen.

    Attributes
    ----------
    vendor : str
        Whose call it is.
    operation : str or None
        Which of the vendor's operations; None for an unknown path.
    credential : str or None
        Whose; None if that cannot be told.
    headers : mapping
        Names in lower case.
    body : bytes
        Empty unless a rule asks for it.
    """

    vendor: str
    operation: str | None
    credential: str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Injection:
    """What happens to a call, and on whose account.

    Attributes
    ----------
    effect : Effect
        What happens.
    source : str
        ``rule <id>``, ``header`` or ``credential``.
    chance : float
        Uniform in 0 to 1, the same at every run: draws the latency.
    """

    effect: Effect
    source: str
    chance: float


@dataclass(frozen=True)
class Target:
    """What the faults have to know of a vendor.

    Attributes
    ----------
    errors : ErrorCatalogue
        Its errors.
    operations : tuple of str
        What its clients can call.
    task_operations : tuple of str
        Those that create a task.
    picture_operations : tuple of str
        Those that take a picture.
    """

    errors: ErrorCatalogue[CatalogueEntry]
    operations: tuple[str, ...]
    task_operations: tuple[str, ...] = ()
    picture_operations: tuple[str, ...] = ()


class UnknownFault(Exception):
    """There is no such vendor, operation, error or preset; ``known`` are those that there are."""

    def __init__(self, kind: str, name: str, known: Sequence[str]) -> None:
        super().__init__(kind, name, known)
        self.kind = kind
        self.name = name
        self.known = tuple(known)

    def __str__(self) -> str:
        close = difflib.get_close_matches(self.name, self.known, n=1)
        meant = f"do you mean {close[0]}? " if close else ""
        return f"there is no {self.kind} named {self.name}; {meant}there are {', '.join(self.known)}"


class ImpossibleFault(UnknownFault):
    """A rule's effect cannot happen where the rule is for; ``known`` are the operations where it can.

    ``where`` is the operation that it names, or the vendor if it names none, or empty.
    """

    def __init__(self, where: str, known: Sequence[str]) -> None:
        super().__init__("operation", where, known)
        self.args = (where, known)

    def __str__(self) -> str:
        if not self.name:
            return "there is no operation at which all of this effect can happen"
        where = f"only at {', '.join(self.known)}" if self.known else "and nowhere else either"
        return f"this effect cannot happen at {self.name}, {where}"


class Faults:
    """All that is to go wrong.

    Parameters
    ----------
    records, clock
        Where rules are kept, and what ends them.
    targets : mapping
        The vendors, by name.
    in_band : bool
        Whether the header and the reserved credentials do anything.
    """

    def __init__(
        self, records: Records, clock: Clock, targets: Mapping[str, Target], *, in_band: bool = True
    ) -> None:
        self._clock = clock
        self._targets = targets
        self.in_band = in_band
        self.kept: Kept[ActiveRule] = Kept(records, KIND, _to_document, _from_document)

    async def load(self) -> None:
        """Read the rules from the records."""
        await self.kept.load()

    def rules(self, scope: str | None = None) -> dict[str, ActiveRule]:
        """Return the rules that may still fire, by id: of one scope, or all."""
        return {
            key: entry.value
            for key, entry in self.kept.items().items()
            if scope in {None, entry.scope} and not entry.value.is_over(self._clock.now(entry.scope))
        }

    async def add(self, rule_id: str, rule: FaultRule) -> ActiveRule:
        """Add a rule, and return it as it stands; those that are over make room for it.

        Raises
        ------
        UnknownFault
            If it names what is not there.
        """
        self.check(rule)
        for key, entry in self.kept.items().items():
            if entry.value.is_over(self._clock.now(entry.scope)):
                await self.kept.delete(key)
        active = ActiveRule(rule, self._clock.now(rule.match.credential or EVERYBODY))
        await self.kept.put(rule_id, active.scope, active)
        return active

    async def remove(self, rule_id: str) -> bool:
        """Remove a rule, and return whether there was one."""
        return await self.kept.delete(rule_id)

    async def clear(self, scope: str | None = None) -> None:
        """Remove the rules of one scope, or all."""
        await self.kept.clear(scope)

    async def forget(self, scope: str | None = None) -> None:
        """Remove the rules of one scope, or all, and forget which of its calls the other rules have seen."""
        await self.clear(scope)
        for rule_id in self.kept.items():
            active = self.kept.get(rule_id)
            if active is not None and scope in active.seen:
                seen = {whose: nth for whose, nth in active.seen.items() if whose != scope}
                await self.kept.put(rule_id, active.scope, replace(active, seen=seen))

    def check(self, rule: FaultRule) -> None:
        """Raise unless vendor, operation and error of ``rule`` are known, and go together.

        Raises
        ------
        UnknownFault
            If one is not.
        ImpossibleFault
            If its effect cannot happen at the operation that it names, or at any: it would never fire.
        """
        vendor = rule.match.vendor
        if vendor is not None and vendor not in self._targets:
            raise UnknownFault("vendor", vendor, tuple(self._targets))
        targets = list(self._targets.values()) if vendor is None else [self._targets[vendor]]
        operations = [*(name for target in targets for name in target.operations), WEBHOOK]
        if rule.match.operation is not None and rule.match.operation not in operations:
            raise UnknownFault("operation", rule.match.operation, operations)
        error = rule.effect.error
        if error is not None and not any(error in target.errors for target in targets):
            names = [entry.name for target in targets for entry in target.errors]
            raise UnknownFault("error or effect", error, [*names, *PRESETS])
        possible = self._places_of(rule.effect, vendor)
        if rule.match.operation is None and not possible:
            raise ImpossibleFault(vendor or "", self._places_of(rule.effect, None))
        if rule.match.operation is not None and rule.match.operation not in possible:
            raise ImpossibleFault(rule.match.operation, possible)

    def _places_of(self, effect: Effect, whose: str | None) -> list[str]:
        """Return the operations, of one vendor or of all, at which all of an effect can happen."""
        return [
            operation
            for vendor, target in self._targets.items()
            if whose in {None, vendor}
            for operation in (*target.operations, *([WEBHOOK] if target.task_operations else []))
            if self._applies(effect, Occasion(vendor, operation, None))
            and not (operation != WEBHOOK and _is_refused_before(effect, target))
        ]

    @property
    def needs_bodies(self) -> bool:
        """Whether a rule looks into bodies."""
        return any(active.rule.match.body_contains is not None for active in self.rules().values())

    async def decide(self, occasion: Occasion) -> Injection | None:
        """Return what happens on an occasion, and count it.

        Raises
        ------
        UnknownFault
            If the header or the reserved credential names what is not there.
        """
        injection = self._decide_in_band(occasion) if self.in_band else None
        mine, everybodys = [], []
        for rule_id, entry in self.kept.items().items():
            if entry.scope == EVERYBODY:
                everybodys.append(rule_id)
            elif entry.scope == occasion.credential:
                mine.append(rule_id)
        # A call counts for every rule that is for it, whichever it is that fires.
        for rule_id in (*mine, *everybodys):
            found = await self._try(rule_id, occasion, may_fire=injection is None)
            injection = injection or found
        return injection

    def _decide_in_band(self, occasion: Occasion) -> Injection | None:
        named = occasion.headers.get("x-emulator-fault")
        source = "header"
        if named is None and is_reserved(occasion.credential):
            named, source = str(occasion.credential).removeprefix(RESERVED).partition(".")[0], "credential"
        if named is None:
            return None
        target = self._targets[occasion.vendor]
        if named not in PRESETS and named not in target.errors:
            known = [*(entry.name for entry in target.errors), *PRESETS]
            raise UnknownFault("error or effect", named, known)
        effect = PRESETS.get(named) or Effect(error=named)
        if not self._applies(effect, occasion):
            return None
        return Injection(effect, source, _chance(named, occasion.credential, 0, 0))

    async def _try(self, rule_id: str, occasion: Occasion, *, may_fire: bool) -> Injection | None:
        # As it stands now: while the rules before it were tried, it may have fired for another call.
        active = self.kept.get(rule_id)
        if active is None:
            return None
        match, now = active.rule.match, self._clock.now(active.scope)
        if active.is_over(now):
            await self.kept.delete(rule_id)
            return None
        if not _matches(match, occasion) or not self._applies(active.rule.effect, occasion):
            return None
        whose = occasion.credential or EVERYBODY
        nth = active.seen.get(whose, 0) + 1
        # The rules' position among everybody's is arbitrary; their chance must not depend on it.
        chance = _chance(str(match.seed), whose, nth, 0)
        fires = may_fire and (
            (match.nth is None or nth == match.nth)
            and (match.every is None or nth % match.every == 0)
            and (match.probability is None or chance < match.probability)
        )
        others = {other: count for other, count in active.seen.items() if other != whose}
        if len(others) == MOST_CREDENTIALS:
            del others[next(iter(others))]
        counted = replace(active, seen={**others, whose: nth}, fired=active.fired + fires)
        if counted.is_over(now):
            await self.kept.delete(rule_id)
        else:
            await self.kept.put(rule_id, active.scope, counted)
        if not fires:
            return None
        return Injection(active.rule.effect, f"rule {rule_id}", _chance(str(match.seed), whose, nth, 1))

    def _applies(self, effect: Effect, occasion: Occasion) -> bool:
        """Return whether all of ``effect`` can happen there."""
        target = self._targets[occasion.vendor]
        if occasion.operation == WEBHOOK:
            return effect.webhook is not None
        creates_a_task = occasion.operation in target.task_operations
        return (
            (effect.error is None or _can_occur(effect.error, target, occasion.operation))
            and (effect.task is None or creates_a_task)
            and (effect.webhook is None or creates_a_task)
            and (effect.picture is None or occasion.operation in target.picture_operations)
        )


def is_reserved(credential: str | None) -> bool:
    """Return whether a credential asks for a fault: ``fault-<name>`` or ``fault-<name>.<anything>``."""
    return credential is not None and credential.startswith(RESERVED)


def _can_occur(error: str, target: Target, operation: str | None) -> bool:
    if error not in target.errors:
        return False
    entry = target.errors[error]
    if entry.of_task:
        return operation in (entry.operations or target.task_operations)
    return not entry.operations or operation in entry.operations


def _is_refused_before(effect: Effect, target: Target) -> bool:
    """Return whether an effect answers an error before there is the task or the picture that it is for."""
    error = effect.error
    if error is None or error not in target.errors or target.errors[error].of_task:
        return False
    return effect.task is not None or effect.picture is not None


def _matches(match: Match, occasion: Occasion) -> bool:
    return (
        match.vendor in {None, occasion.vendor}
        and match.operation in {None, occasion.operation}
        and all(
            re.search(pattern, occasion.headers.get(name.lower(), "")) is not None
            and name.lower() in occasion.headers
            for name, pattern in match.headers.items()
        )
        and (match.body_contains is None or match.body_contains.encode() in occasion.body)
    )


def _chance(seed: str, credential: str | None, nth: int, purpose: int) -> float:
    """Return a number in 0 to 1 that depends on nothing else."""
    text = f"{seed}\0{credential or EVERYBODY}\0{nth}\0{purpose}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56


ACTIVE = TypeAdapter(ActiveRule)


def _to_document(active: ActiveRule) -> dict[str, Any]:
    return {
        "rule": active.rule.model_dump(mode="json", exclude_defaults=True),
        "added_at": active.added_at,
        "seen": dict(active.seen),
        "fired": active.fired,
    }


def _from_document(document: Mapping[str, Any]) -> ActiveRule:
    return ACTIVE.validate_python(document)
