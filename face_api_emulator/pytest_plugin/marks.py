"""The mark ``face_emulator``, and the conditions that it sets for a test."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from face_api_emulator.client.models import Costs, RecordedCall

MARK = "face_emulator"


@dataclass(frozen=True)
class Conditions:
    """What the mark of a test asks for.

    Attributes
    ----------
    redirect : bool
        Make connections to the vendors' host names go to the emulator.
    sealed : bool
        Fail if the test tries to reach another machine.
    allowed : sequence of str
        Hosts that a sealed test may reach.
    warnings_are_errors : bool
        Fail if a request has a warning.
    max_units : int or None
        Fail if the calls cost more than this number of units.
    max_cost : str or None
        Fail if the calls cost more than this amount, such as ``"0.10 USD"``.
    """

    redirect: bool = False
    sealed: bool = False
    allowed: Sequence[str] = ()
    warnings_are_errors: bool = False
    max_units: int | None = None
    max_cost: str | None = None

    @classmethod
    def of(cls, item: pytest.Item) -> Conditions:
        """Return the conditions of a test. For each argument, the mark that is closest to the test wins.

        Raises
        ------
        pytest.UsageError
            If a mark has unknown arguments, or an invalid ``max_units`` or ``max_cost``.
        """
        arguments = {
            "sealed": item.config.getini("face_emulator_sealed"),
            "warnings_are_errors": item.config.getini("face_emulator_warnings_are_errors"),
        }
        for mark in reversed(list(item.iter_markers(MARK))):
            if mark.args:
                raise pytest.UsageError(f"{item.nodeid}: the mark {MARK} takes only keyword arguments")
            arguments |= mark.kwargs
        try:
            conditions = cls(**arguments)
        except TypeError as error:
            known = ", ".join(cls.__dataclass_fields__)
            raise pytest.UsageError(
                f"{item.nodeid}: the mark {MARK} accepts only the arguments {known}"
            ) from error
        units = arguments.get("max_units")
        if not (units is None or type(units) is int):
            raise pytest.UsageError(f"{item.nodeid}: max_units must be a whole number, not {units!r}")
        if conditions.max_cost is not None:
            _money(conditions.max_cost)
        return conditions

    @property
    def needs_emulator(self) -> bool:
        """Whether the conditions need an emulator, even if the test uses no fixture of this plugin."""
        return self.redirect or self.max_units is not None or self.max_cost is not None

    @property
    def has_limits(self) -> bool:
        """Whether a condition limits what the calls of the test may do."""
        return self.warnings_are_errors or self.max_units is not None or self.max_cost is not None

    def broken(self, calls: Sequence[RecordedCall], costs: Costs) -> list[str]:
        """Return the reasons why the calls of the test break its conditions, if any."""
        reasons = []
        if self.warnings_are_errors:
            reasons += [
                f"call {call.number}, {call.method} {call.path}: {warning['code']}: {warning['detail']}"
                for call in calls
                for warning in call.warnings
            ]
        units = sum(cost.units for cost in costs.operations)
        if self.max_units is not None and units > self.max_units:
            reasons.append(f"the calls cost {units} units, but the test may cost only {self.max_units}")
        if self.max_cost is not None:
            limit, currency = _money(self.max_cost)
            spent = Decimal(costs.totals.get(currency, "0"))
            if spent > limit:
                reasons.append(
                    f"the calls cost {spent:f} {currency}, but the test may cost only {self.max_cost}"
                )
            reasons += [
                f"the calls cost {amount} {other}, but max_cost is in {currency}"
                for other, amount in costs.totals.items()
                if other != currency and Decimal(amount) > 0
            ]
            if costs.unpriced:
                unpriced = ", ".join(costs.unpriced)
                reasons.append(f"max_cost needs prices; the setting `prices` has none for {unpriced}")
        return reasons


def _money(text: object) -> tuple[Decimal, str]:
    """Return the amount and the currency of ``"0.10 USD"``."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ([A-Z]{3})", str(text))
    if found is None:
        raise pytest.UsageError(f"max_cost must look like '0.10 USD', not {text!r}")
    return Decimal(found[1]), found[2]
