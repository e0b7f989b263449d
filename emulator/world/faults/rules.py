"""Fault rules: the calls that they match, and how often they have fired."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

from emulator.clock import ALL_CREDENTIALS, Count, Moment
from emulator.deferral import DeferredAdapter
from emulator.world.faults.effects import Data, Effect, named
from emulator.world.text import Pattern, Text, is_found

MOST_CREDENTIALS = 1000
"""Largest number of credentials for which a rule counts calls.

Above this number, the rule forgets the credential that has not made a matching call for the longest time.
"""


class Match(Data):
    """The calls that can get the fault of a rule. A member that is omitted or null matches every call."""

    vendor: Text | None = Field(default=None, description="Name of the vendor.")
    operation: Text | None = Field(
        default=None,
        description="Name of the operation, as in `GET /_emulator/operations`, or `webhook` for webhooks.",
    )
    credential: Text | None = Field(
        default=None,
        min_length=1,
        description="Credential of the caller. `POST /_emulator/reset` for this credential removes the rule.",
    )
    nth: int | None = Field(
        default=None,
        ge=1,
        description="Fire only for the nth matching call. The calls of each credential are counted "
        "separately.",
    )
    every: int | None = Field(
        default=None,
        ge=1,
        description="Fire only for every nth matching call: with 3, for the 3rd, the 6th, the 9th and so on. "
        "The calls of each credential are counted separately.",
    )
    probability: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Probability that the rule fires for a matching call. The same `seed` selects the same "
        "calls.",
    )
    seed: int = Field(default=0, description="Seed of `probability` and of random delays.")
    headers: Mapping[Text, Pattern] = Field(
        default_factory=dict,
        description="Regular expressions (RE2 syntax) to search for in the request headers, by header name.",
    )
    body_contains: Text | None = Field(
        default=None, min_length=1, description="Text to search for in the request body."
    )

    @property
    def reads_request(self) -> bool:
        """Whether there are conditions on the headers or the body of a request."""
        return bool(self.headers) or self.body_contains is not None

    def covers(self, target: FaultTarget) -> bool:
        """Return whether ``target`` meets the conditions on vendor, operation, headers and body."""
        return (
            self.vendor in {None, target.vendor}
            and self.operation in {None, target.operation}
            and all(
                name.lower() in target.headers and is_found(pattern, target.headers[name.lower()])
                for name, pattern in self.headers.items()
            )
            and (self.body_contains is None or self.body_contains.encode() in target.body)
        )


class FaultRule(Data):
    """A fault to inject, and the calls that can get it."""

    match: Match = Field(
        default=Match.model_construct(),
        description="Calls that can get the fault. An omitted member matches every call.",
    )
    effect: Annotated[Effect, BeforeValidator(named, json_schema_input_type=Text | Effect)] = Field(
        description="An effect, or the name of an effect or of an error."
    )
    count: int | None = Field(
        default=None,
        ge=1,
        description="Number of times that the rule fires before it is removed; null for no limit.",
    )
    ttl_s: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds until the rule expires, by the clock of the credential in `match`, or by the "
        "default clock if `match` has no credential. Null if the rule never expires.",
    )
    scenario: Text | None = Field(
        default=None, description="Name of the scenario that added the rule; null if none did."
    )


@dataclass(frozen=True)
class ActiveRule:
    """A rule with its call counts.

    Attributes
    ----------
    rule : FaultRule
        The rule as it was added.
    added_at : float
        When the rule was added, in seconds since the Unix epoch, by the clock of its credential.
    seen : mapping
        Number of calls that matched, by credential. The credential of the latest call is the last key.
    fired : int
        How often the rule has fired.
    """

    rule: FaultRule
    added_at: Moment
    seen: Mapping[str, Count] = field(default_factory=dict)
    fired: Count = 0

    @property
    def credential(self) -> str:
        """Credential that the rule applies to, or ``ALL_CREDENTIALS``."""
        return self.rule.match.credential or ALL_CREDENTIALS

    @property
    def is_spent(self) -> bool:
        """Whether the rule has fired ``count`` times."""
        return self.rule.count is not None and self.fired >= self.rule.count

    def is_over(self, now: float) -> bool:
        """Return whether the rule has expired or has fired ``count`` times."""
        return self.is_spent or (self.rule.ttl_s is not None and now >= self.added_at + self.rule.ttl_s)

    def chance(self, credential: str, *, purpose: int) -> float:
        """Return a pseudorandom number from 0 to 1 for the last counted call of ``credential``.

        ``purpose`` says what the number decides: 0 for whether the rule fires, 1 for the latency.
        """
        # The number must not depend on the rule's position among all rules, because that is arbitrary.
        return chance(str(self.rule.match.seed), credential, self.seen[credential], purpose)

    def count_call(self, credential: str, *, may_fire: bool) -> tuple[ActiveRule, bool]:
        """Return the rule with one more matching call of ``credential``, and whether it fires."""
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


class FaultTarget(NamedTuple):
    """The parts of a call or webhook that fault rules compare.

    Attributes
    ----------
    vendor : str
        Name of the vendor.
    operation : str or None
        Name of the operation, or ``webhook``; None for a path or method that is not served.
    credential : str or None
        Credential of the caller; None if it is unknown.
    headers : mapping
        Request headers, with names in lower case.
    body : bytes
        Request body. If no rule has a condition on the body, the body is not read, and this is empty.
    """

    vendor: str
    operation: str | None
    credential: str | None
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""


def chance(seed: str, credential: str | None, nth: int, purpose: int) -> float:
    """Return a pseudorandom number from 0 to 1 that depends only on the arguments."""
    text = f"{seed}\0{credential or ALL_CREDENTIALS}\0{nth}\0{purpose}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56


ACTIVE = DeferredAdapter(ActiveRule)


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
