"""Fault rules: which calls one is for, at which of them it fires, and what has become of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter

from emulator.clock import EVERYBODY
from emulator.world.faults.effects import Data, Effect, named
from emulator.world.text import Pattern, Text

MOST_CREDENTIALS = 1000
"""How many credentials a rule counts calls for; beyond that, the one seen longest ago starts anew."""


class Match(Data):
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

    @property
    def looks_into_calls(self) -> bool:
        """Whether it looks at what a client sends."""
        return bool(self.headers) or self.body_contains is not None

    def covers(self, occasion: Occasion) -> bool:
        """Return whether a rule with this match is for ``occasion``, its credential and counts aside."""
        return (
            self.vendor in {None, occasion.vendor}
            and self.operation in {None, occasion.operation}
            and all(
                re.search(pattern, occasion.headers.get(name.lower(), "")) is not None
                and name.lower() in occasion.headers
                for name, pattern in self.headers.items()
            )
            and (self.body_contains is None or self.body_contains.encode() in occasion.body)
        )


class FaultRule(Data):
    """What a tester wants to go wrong, and when."""

    match: Match = Match()
    effect: Annotated[Effect, BeforeValidator(named)] = Field(
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
    def credential(self) -> str:
        """Whose rule it is."""
        return self.rule.match.credential or EVERYBODY

    @property
    def is_spent(self) -> bool:
        """Whether it has fired as often as it may."""
        return self.rule.count is not None and self.fired >= self.rule.count

    def is_over(self, now: float) -> bool:
        """Return whether it will not fire any more."""
        return self.is_spent or (self.rule.ttl_s is not None and now >= self.added_at + self.rule.ttl_s)

    def chance(self, credential: str, *, purpose: int) -> float:
        """Return a number in 0 to 1 for the last call of a credential that was counted."""
        # The rule's position among everybody's is arbitrary; its chance must not depend on it.
        return chance(str(self.rule.match.seed), credential, self.seen[credential], purpose)

    def count_call(self, credential: str, *, may_fire: bool) -> tuple[ActiveRule, bool]:
        """Return the rule with one more call of ``credential`` that it covers, and whether it fires."""
        others = {other: count for other, count in self.seen.items() if other != credential}
        if len(others) == MOST_CREDENTIALS:
            del others[next(iter(others))]
        nth = self.seen.get(credential, 0) + 1
        counted = replace(self, seen={**others, credential: nth})
        match = self.rule.match
        fires = may_fire and (
            (match.nth is None or nth == match.nth)
            and (match.every is None or nth % match.every == 0)
            and (match.probability is None or counted.chance(credential, purpose=0) < match.probability)
        )
        return replace(counted, fired=self.fired + fires), fires


@dataclass(frozen=True)
class Occasion:
    """A call, or a webhook, to which something may happen.

    Attributes
    ----------
    vendor : str
        Whose call it is.
    operation : str or None
        Which of the vendor's operations; None for a path or method that is not served.
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


def chance(seed: str, credential: str | None, nth: int, purpose: int) -> float:
    """Return a number in 0 to 1 that depends on nothing else."""
    text = f"{seed}\0{credential or EVERYBODY}\0{nth}\0{purpose}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56


ACTIVE = TypeAdapter(ActiveRule)


def to_document(active: ActiveRule) -> dict[str, Any]:
    """Return a rule as a JSON object."""
    return {
        "rule": active.rule.model_dump(mode="json", exclude_defaults=True),
        "added_at": active.added_at,
        "seen": dict(active.seen),
        "fired": active.fired,
    }


def from_document(document: Mapping[str, Any]) -> ActiveRule:
    """Return the rule that ``to_document`` wrote."""
    return ACTIVE.validate_python(document)
