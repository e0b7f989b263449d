"""The engine that decides which fault a call gets.

The engine decides once per call: when the call's credential is known, or at the latest when the response
begins. A fault that the client requests by header or reserved credential takes precedence. Otherwise, the
engine tries the rules for the call's credential, and then the rules for all credentials. In each of the two
groups, it tries the oldest rule first. Only the first rule that fires applies.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from emulator.backends.records import Records
from emulator.backends.records.kept import RecordCache
from emulator.backends.stateful import Check, EntryCheck, Stateful, Stored, require, strictly
from emulator.clock import ALL_CREDENTIALS, Clock, Count, Moment
from emulator.deferral import DeferredAdapter
from emulator.webhooks.fault import NO_FAULT
from emulator.world.faults.effects import PRESETS, Effect
from emulator.world.faults.rules import (
    ActiveRule,
    FaultRule,
    FaultTarget,
    chance,
    from_document,
    to_document,
)
from emulator.world.operation import WEBHOOK, Contract, Operation, callable_names

KIND = "fault"


class _Counts(BaseModel):
    """The parts of a stored rule besides the rule itself."""

    added_at: Moment
    seen: dict[str, Count]
    fired: Count


COUNTS = DeferredAdapter(_Counts)

SOURCES = ("rule", "header", "credential")
"""What can request a fault."""

FAULT_HEADER = "x-emulator-fault"
"""Request header that names a fault."""

RESERVED = "fault-"
"""Prefix of reserved credentials. A call with the credential ``fault-slow`` gets the fault ``slow``."""


@dataclass(frozen=True)
class Injection:
    """The fault that a call gets.

    Attributes
    ----------
    effect : Effect
        What happens to the call.
    source : str
        What requested the fault: ``rule <id>``, ``header`` or ``credential``.
    chance : float
        Pseudorandom number from 0 to 1 that decides the latency. A repeated run of the same calls gets the
        same numbers.
    """

    effect: Effect
    source: str
    chance: float


class UnknownFault(Exception):
    """There is no vendor, operation, error or effect of this name. ``known`` has the valid names."""

    def __init__(self, kind: str, name: str, known: Sequence[str]) -> None:
        super().__init__(kind, name, known)
        self.kind = kind
        self.name = name
        self.known = tuple(known)

    def __str__(self) -> str:
        close = difflib.get_close_matches(self.name, self.known, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        return f"there is no {self.kind} named {self.name}; {meant}there are {', '.join(self.known)}"


class ImpossibleFault(UnknownFault):
    """A rule's effect cannot happen at any operation that the rule can match.

    ``where`` is the operation that the rule names or, if it names none, the vendor. ``where`` is empty if the
    rule names neither. ``known`` has the operations where the effect can happen.
    """

    def __init__(self, where: str, known: Sequence[str]) -> None:
        super().__init__("operation", where, known)
        self.args = (where, known)

    def __str__(self) -> str:
        if not self.name:
            return "there is no operation where the whole effect can happen"
        where = f"only at {', '.join(self.known)}" if self.known else "nor at any other operation"
        return f"this effect cannot happen at {self.name}, {where}"


class ImpossibleMatch(UnknownFault):
    """A rule for webhooks has conditions on headers or bodies, which work only for calls of clients.

    ``known`` has the operations that clients call.
    """

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__("operation", WEBHOOK, known)
        self.args = (known,)

    def __str__(self) -> str:
        return "a rule for webhooks cannot match `headers` or `body_contains`: only client calls have them"


class Faults(Stateful):
    """The rules of all credentials, and the choice of the rule that applies to a call or webhook.

    Parameters
    ----------
    records, clock
        Storage of the rules, and the clock by which they expire.
    contracts : mapping
        The description of each vendor's API.
    in_band : bool
        Whether clients can request faults by header or reserved credential.

    Attributes
    ----------
    fired : Counter
        Number of faults since the start of the process, by vendor and by source, which is one of
        ``SOURCES``. A reset does not change it.
    """

    def __init__(
        self, records: Records, clock: Clock, contracts: Mapping[str, Contract], *, in_band: bool = True
    ) -> None:
        self._clock = clock
        self._contracts = contracts
        self.in_band = in_band
        self.fired = Counter({(vendor, source): 0 for vendor in contracts for source in SOURCES})
        self._cache: RecordCache[ActiveRule] = RecordCache(records, KIND, to_document, from_document)

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored rules."""
        return self._cache.checks

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """A rule must belong to the credential in its ``match``, and be one that ``add`` accepts."""
        return {KIND: self._check_entry}

    def _check_entry(self, entry: Stored) -> None:
        active = from_document(entry.document)
        strictly(COUNTS, {name: entry.document[name] for name in ("added_at", "seen", "fired")})
        require(active.credential == entry.credential, "the credential must be the one of the rule")
        try:
            self.check(active.rule)
        except UnknownFault as error:
            raise ValueError(str(error)) from error

    async def load(self) -> None:
        """Read the rules from the database."""
        await self._cache.load()

    def rules(self, credential: str | None = None) -> dict[str, ActiveRule]:
        """Return the rules of ``credential``, or of all credentials, that can still fire, by id."""
        return {
            key: entry.value
            for key, entry in self._cache.items().items()
            if credential in {None, entry.credential}
            and not entry.value.is_over(self._clock.now(entry.credential))
        }

    async def add(self, rule_id: str, rule: FaultRule) -> ActiveRule:
        """Add a rule and return it. Delete all rules that have expired or have fired ``count`` times."""
        for key, entry in self._cache.items().items():
            if entry.value.is_over(self._clock.now(entry.credential)):
                await self._cache.delete(key)
        active = ActiveRule(rule, self._clock.now(rule.match.credential or ALL_CREDENTIALS))
        await self._cache.put(rule_id, active.credential, active)
        return active

    async def remove(self, rule_id: str) -> bool:
        """Remove a rule, and return whether it existed."""
        return await self._cache.delete(rule_id)

    async def remove_all(self, credential: str | None = None) -> None:
        """Remove the rules of ``credential``, or all rules if it is None."""
        await self._cache.forget(credential)

    async def forget(self, credential: str | None) -> None:
        """Remove the rules of ``credential``, and the counts of its calls in all other rules.

        If ``credential`` is None, remove all rules.
        """
        await self.remove_all(credential)

        def without(active: ActiveRule | None) -> ActiveRule | None:
            if active is None or credential not in active.seen:
                return active
            seen = {whose: nth for whose, nth in active.seen.items() if whose != credential}
            return replace(active, seen=seen)

        for rule_id, entry in self._cache.items().items():
            await self._cache.change(rule_id, entry.credential, without)

    def check(self, rule: FaultRule) -> None:
        """Check that the names in ``rule`` exist and that the rule can fire.

        Raises
        ------
        UnknownFault
            If the vendor, operation or error that the rule names does not exist.
        ImpossibleFault
            If the effect cannot happen at any operation that the rule can match.
        ImpossibleMatch
            If the rule is for webhooks and has conditions on request headers or bodies.
        """
        vendor = rule.match.vendor
        if vendor is not None and vendor not in self._contracts:
            raise UnknownFault("vendor", vendor, tuple(self._contracts))
        contracts = list(self._contracts.values()) if vendor is None else [self._contracts[vendor]]
        operations = [name for contract in contracts for name in contract.operations]
        if rule.match.operation is not None and rule.match.operation not in (*operations, WEBHOOK):
            raise UnknownFault("operation", rule.match.operation, [*operations, WEBHOOK])
        error = rule.effect.error
        if error is not None and not any(error in contract.errors for contract in contracts):
            names = [name for contract in contracts for name in contract.errors]
            raise UnknownFault("error or effect", error, [*names, *PRESETS])
        if rule.match.operation == WEBHOOK and rule.match.reads_request:
            raise ImpossibleMatch(operations)
        possible = self._places_of(rule, vendor)
        if rule.match.operation is None and not possible:
            raise ImpossibleFault(vendor or "", self._places_of(rule, None))
        if rule.match.operation is not None and rule.match.operation not in possible:
            raise ImpossibleFault(rule.match.operation, possible)

    def _places_of(self, rule: FaultRule, vendor: str | None) -> list[str]:
        """Return the operations of ``vendor``, or of all, where every part of the effect can happen."""
        return [
            operation
            for name, contract in self._contracts.items()
            if vendor in {None, name}
            for operation in callable_names(contract)
            if self._applies(rule.effect, FaultTarget(name, operation, None))
            and not (
                rule.match.reads_request
                if operation == WEBHOOK
                else _is_refused_before(rule.effect, contract)
            )
        ]

    @property
    def needs_bodies(self) -> bool:
        """Whether any rule has a condition on the request body."""
        return not self._cache.is_empty and any(
            active.rule.match.body_contains is not None for active in self.rules().values()
        )

    def concern(self, credential: str | None, *, is_named: bool) -> bool:
        """Return whether a call can get a fault at all: whether there are rules, or it requests a fault.

        If not, there is nothing to decide. ``is_named`` says whether the call has the header that names a
        fault.
        """
        return not self._cache.is_empty or (self.in_band and (is_named or is_reserved(credential)))

    async def decide(self, target: FaultTarget) -> Injection | None:
        """Return the fault of a call or webhook, or None. Count the call for all rules that match it.

        Raises
        ------
        UnknownFault
            If the header or the reserved credential names an unknown fault.
        """
        injection = self._decide_in_band(target) if self.in_band else None
        own, default = [], []
        for rule_id, entry in self._cache.items().items():
            if entry.credential == ALL_CREDENTIALS:
                default.append(rule_id)
            elif entry.credential == target.credential:
                own.append(rule_id)
        # A call counts for every rule that matches it, not only for the rule that fires.
        for rule_id in (*own, *default):
            found = await self._try(rule_id, target, may_fire=injection is None)
            injection = injection or found
        if injection is not None:
            self.fired[target.vendor, injection.source.partition(" ")[0]] += 1
        return injection

    def _decide_in_band(self, target: FaultTarget) -> Injection | None:
        named = target.headers.get(FAULT_HEADER)
        source = "header"
        if named is None and is_reserved(target.credential):
            named, source = str(target.credential).removeprefix(RESERVED).partition(".")[0], "credential"
        if named is None:
            return None
        contract = self._contracts[target.vendor]
        if named not in PRESETS and named not in contract.errors:
            raise UnknownFault("error or effect", named, [*contract.errors, *PRESETS])
        effect = PRESETS.get(named) or Effect(error=named)
        if not self._applies(effect, target):
            return None
        return Injection(effect, source, chance(named, target.credential, 0, 0))

    async def _try(self, rule_id: str, target: FaultTarget, *, may_fire: bool) -> Injection | None:
        # Read the rule again: it may have fired for another call during an earlier ``await``.
        active = self._cache.get(rule_id)
        if active is None:
            return None
        now = self._clock.now(active.credential)
        whose = target.credential or ALL_CREDENTIALS
        found: Injection | None = None

        def count(current: ActiveRule | None) -> ActiveRule | None:
            nonlocal found
            found = None
            if current is None or current.is_over(now):
                return None
            counted, fires = current.count_call(whose, may_fire=may_fire)
            if fires:
                found = Injection(current.rule.effect, f"rule {rule_id}", counted.chance(whose, purpose=1))
            return None if counted.is_over(now) else counted

        is_over = active.is_over(now)
        if is_over or (active.rule.match.covers(target) and self._applies(active.rule.effect, target)):
            await self._cache.change(rule_id, active.credential, count)
        return found

    def _applies(self, effect: Effect, target: FaultTarget) -> bool:
        """Return whether the whole ``effect`` can happen to this call or webhook."""
        contract = self._contracts[target.vendor]
        if target.operation == WEBHOOK:
            return effect.webhook not in (None, NO_FAULT)
        operation = contract.operations.get(target.operation or "")
        creates_task = operation is not None and operation.task is not None
        return (
            (effect.error is None or _can_answer(effect.error, contract, operation))
            and (effect.task is None or creates_task)
            and (effect.webhook is None or creates_task)
            and (effect.picture is None or (operation is not None and operation.takes_picture))
        )


def is_reserved(credential: str | None) -> bool:
    """Return whether a credential requests a fault: ``fault-<name>``, or ``fault-<name>.<any text>``."""
    return credential is not None and credential.startswith(RESERVED)


def _can_answer(error: str, contract: Contract, operation: Operation | None) -> bool:
    """Return whether ``operation`` can return ``error`` or, if it is None, whether all operations can."""
    if operation is None:
        return all(error in each.errors for each in contract.operations.values())
    return error in operation.errors


def _is_refused_before(effect: Effect, contract: Contract) -> bool:
    """Return whether ``effect`` combines an error of the call with a fault of the task or of the picture.

    Such an effect cannot happen as a whole: a call that is refused with an error creates no task and reads no
    picture.
    """
    error = None if effect.error is None else contract.errors.get(effect.error)
    if error is None or error.of_task:
        return False
    return effect.task is not None or effect.picture is not None
