"""Decides what happens to a call.

It is decided once, when the call's credential is known, or at the latest when its answer begins. Rules
of the call's own credential come before rules for everybody, older rules before newer ones, and the
first rule that fires is the only one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from emulator.backends.records import Records
from emulator.backends.records.kept import Kept
from emulator.backends.stateful import Check, Stateful
from emulator.clock import EVERYBODY, Clock
from emulator.webhooks.fault import NO_FAULT
from emulator.world.faults.effects import PRESETS, Effect
from emulator.world.faults.rules import ActiveRule, FaultRule, Occasion, chance, from_document, to_document
from emulator.world.operation import WEBHOOK, Contract, Operation, callable_names

KIND = "fault"

RESERVED = "fault-"
"""How the reserved credentials begin."""


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


class ImpossibleMatch(UnknownFault):
    """A rule for webhooks looks at what only a client's call has; ``known`` are the operations of clients."""

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__("operation", WEBHOOK, known)
        self.args = (known,)

    def __str__(self) -> str:
        return "a webhook is no call of a client: a rule for it cannot look at `headers` or `body_contains`"


class Faults(Stateful):
    """All that is to go wrong.

    Parameters
    ----------
    records, clock
        Where rules are kept, and what ends them.
    contracts : mapping
        The vendors, by name.
    in_band : bool
        Whether the header and the reserved credentials do anything.
    """

    def __init__(
        self, records: Records, clock: Clock, contracts: Mapping[str, Contract], *, in_band: bool = True
    ) -> None:
        self._clock = clock
        self._contracts = contracts
        self.in_band = in_band
        self._kept: Kept[ActiveRule] = Kept(records, KIND, to_document, from_document)

    @property
    def checks(self) -> Mapping[str, Check]:
        """A recorded rule has to be one."""
        return self._kept.checks

    async def load(self) -> None:
        """Read the rules from the records."""
        await self._kept.load()

    def rules(self, credential: str | None = None) -> dict[str, ActiveRule]:
        """Return the rules that may still fire, by id: of one credential, or all."""
        return {
            key: entry.value
            for key, entry in self._kept.items().items()
            if credential in {None, entry.credential}
            and not entry.value.is_over(self._clock.now(entry.credential))
        }

    async def add(self, rule_id: str, rule: FaultRule) -> ActiveRule:
        """Add a rule that was checked, and return it as it stands; those that are over make room for it."""
        for key, entry in self._kept.items().items():
            if entry.value.is_over(self._clock.now(entry.credential)):
                await self._kept.delete(key)
        active = ActiveRule(rule, self._clock.now(rule.match.credential or EVERYBODY))
        await self._kept.put(rule_id, active.credential, active)
        return active

    async def remove(self, rule_id: str) -> bool:
        """Remove a rule, and return whether there was one."""
        return await self._kept.delete(rule_id)

    async def remove_all(self, credential: str | None = None) -> None:
        """Remove the rules of one credential, or all."""
        await self._kept.forget(credential)

    async def forget(self, credential: str | None) -> None:
        """Remove the rules of a credential, or all, and forget which of its calls other rules have seen."""
        await self.remove_all(credential)
        for rule_id in self._kept.items():
            active = self._kept.get(rule_id)
            if active is not None and credential in active.seen:
                seen = {whose: nth for whose, nth in active.seen.items() if whose != credential}
                await self._kept.put(rule_id, active.credential, replace(active, seen=seen))

    def check(self, rule: FaultRule) -> None:
        """Raise unless vendor, operation and error of ``rule`` are known, and go together.

        Raises
        ------
        UnknownFault
            If one is not.
        ImpossibleFault
            If its effect cannot happen at the operation that it names, or at any: it would never fire.
        ImpossibleMatch
            If it is for webhooks, and looks at headers or bodies: it would never fire either.
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
        if rule.match.operation == WEBHOOK and rule.match.looks_into_calls:
            raise ImpossibleMatch(operations)
        possible = self._places_of(rule, vendor)
        if rule.match.operation is None and not possible:
            raise ImpossibleFault(vendor or "", self._places_of(rule, None))
        if rule.match.operation is not None and rule.match.operation not in possible:
            raise ImpossibleFault(rule.match.operation, possible)

    def _places_of(self, rule: FaultRule, vendor: str | None) -> list[str]:
        """Return the operations, of one vendor or of all, at which a rule's whole effect can happen."""
        return [
            operation
            for name, contract in self._contracts.items()
            if vendor in {None, name}
            for operation in callable_names(contract)
            if self._applies(rule.effect, Occasion(name, operation, None))
            and not (
                rule.match.looks_into_calls
                if operation == WEBHOOK
                else _is_refused_before(rule.effect, contract)
            )
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
        for rule_id, entry in self._kept.items().items():
            if entry.credential == EVERYBODY:
                everybodys.append(rule_id)
            elif entry.credential == occasion.credential:
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
        contract = self._contracts[occasion.vendor]
        if named not in PRESETS and named not in contract.errors:
            raise UnknownFault("error or effect", named, [*contract.errors, *PRESETS])
        effect = PRESETS.get(named) or Effect(error=named)
        if not self._applies(effect, occasion):
            return None
        return Injection(effect, source, chance(named, occasion.credential, 0, 0))

    async def _try(self, rule_id: str, occasion: Occasion, *, may_fire: bool) -> Injection | None:
        # As it stands now: while the rules before it were tried, it may have fired for another call.
        active = self._kept.get(rule_id)
        if active is None:
            return None
        now = self._clock.now(active.credential)
        if active.is_over(now):
            await self._kept.delete(rule_id)
            return None
        if not active.rule.match.covers(occasion) or not self._applies(active.rule.effect, occasion):
            return None
        whose = occasion.credential or EVERYBODY
        counted, fires = active.count_call(whose, may_fire=may_fire)
        if counted.is_over(now):
            await self._kept.delete(rule_id)
        else:
            await self._kept.put(rule_id, active.credential, counted)
        if not fires:
            return None
        return Injection(active.rule.effect, f"rule {rule_id}", counted.chance(whose, purpose=1))

    def _applies(self, effect: Effect, occasion: Occasion) -> bool:
        """Return whether all of ``effect`` can happen there."""
        contract = self._contracts[occasion.vendor]
        if occasion.operation == WEBHOOK:
            return effect.webhook not in (None, NO_FAULT)
        operation = contract.operations.get(occasion.operation or "")
        creates_task = operation is not None and operation.task is not None
        return (
            (effect.error is None or _can_answer(effect.error, contract, operation))
            and (effect.task is None or creates_task)
            and (effect.webhook is None or creates_task)
            and (effect.picture is None or (operation is not None and operation.takes_picture))
        )


def is_reserved(credential: str | None) -> bool:
    """Return whether a credential asks for a fault: ``fault-<name>`` or ``fault-<name>.<anything>``."""
    return credential is not None and credential.startswith(RESERVED)


def _can_answer(error: str, contract: Contract, operation: Operation | None) -> bool:
    """Return whether an error can be answered at an operation; where none is served, whether at every one."""
    if operation is None:
        return all(error in each.errors for each in contract.operations.values())
    return error in operation.errors


def _is_refused_before(effect: Effect, contract: Contract) -> bool:
    """Return whether an effect answers an error before there is the task or the picture that it is for."""
    error = None if effect.error is None else contract.errors.get(effect.error)
    if error is None or error.of_task:
        return False
    return effect.task is not None or effect.picture is not None
