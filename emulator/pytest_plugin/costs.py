"""What the calls of a run would have cost."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.client.models import Costs, OperationCost

TITLE = "face-api-emulator: what this run would have cost"


def costs_since_start(base_url: str) -> Costs | None:
    """Return the costs since the start of an emulator, or None if its control API cannot be reached.

    Resets of credentials do not change them.
    """
    from emulator.client import Client, ControlError, EmulatorUnreachable  # noqa: PLC0415 - on demand

    try:
        with Client(base_url) as client:
            return client.costs(since_start=True)
    except (ControlError, EmulatorUnreachable):
        return None


def cost_lines(before: Costs | None, after: Costs | None) -> list[str]:
    """Return a line for each operation that was billed between two readings, and a line with the total."""
    earlier = {} if before is None else {(cost.vendor, cost.operation): cost for cost in before.operations}
    lines, totals, unpriced = [], dict[str, Decimal](), False
    for cost in () if after is None else after.operations:
        base = earlier.get((cost.vendor, cost.operation))
        calls = cost.calls - (base.calls if base else 0)
        units = cost.units - (base.units if base else 0)
        if calls <= 0 and units <= 0:
            continue
        parts = [f"{calls} call{'' if calls == 1 else 's'}"]
        parts += [f"{units} unit{'' if units == 1 else 's'}"] if units else []
        for currency, amount in _amounts(cost, base).items():
            totals[currency] = totals.get(currency, Decimal(0)) + amount
            parts.append(f"{amount:f} {currency}")
        if not cost.amounts:
            unpriced = True
            parts.append("no price is set")
        lines.append(f"{cost.vendor} {cost.operation}: {', '.join(parts)}")
    if totals:
        money = ", ".join(f"{amount:f} {currency}" for currency, amount in sorted(totals.items()))
        lines.append(f"total: {money}{', excluding operations without a price' if unpriced else ''}")
    return lines


def _amounts(cost: OperationCost, base: OperationCost | None) -> Mapping[str, Decimal]:
    before = {} if base is None else base.amounts
    return {
        currency: Decimal(amount) - Decimal(before.get(currency, "0"))
        for currency, amount in cost.amounts.items()
    }
