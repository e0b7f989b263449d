"""The difference between two readings of the costs, and costs as lines of text."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from face_api_emulator.client.models import Costs, OperationCost


def difference(before: Costs | None, after: Costs) -> Costs:
    """Return the costs of the calls between two readings of ``Client.costs(since_start=True)``.

    If ``before`` is None, all costs in ``after`` are returned. Operations with neither calls nor units are
    omitted.
    """
    earlier = {(cost.vendor, cost.operation): cost for cost in (before.operations if before else ())}
    operations, totals = [], defaultdict[str, Decimal](Decimal)
    for cost in after.operations:
        found = _less(cost, earlier.get((cost.vendor, cost.operation)))
        if found.calls <= 0 and found.units <= 0:
            continue
        operations.append(found)
        for currency, amount in found.amounts.items():
            totals[currency] += Decimal(amount)
    return Costs(
        operations=operations,
        totals={currency: f"{amount:f}" for currency, amount in sorted(totals.items())},
        unpriced=[f"{cost.vendor}/{cost.operation}" for cost in operations if not cost.amounts],
    )


def _less(cost: OperationCost, base: OperationCost | None) -> OperationCost:
    if base is None:
        return cost
    amounts = {
        currency: f"{Decimal(amount) - Decimal(base.amounts.get(currency, '0')):f}"
        for currency, amount in cost.amounts.items()
    }
    return OperationCost(
        vendor=cost.vendor,
        operation=cost.operation,
        calls=cost.calls - base.calls,
        units=cost.units - base.units,
        amounts=amounts,
    )


def cost_lines(costs: Costs) -> list[str]:
    """Return a line for each operation, and a line with the total if there are prices."""
    lines = []
    for cost in costs.operations:
        parts = [f"{cost.calls} call{'' if cost.calls == 1 else 's'}"]
        parts += [f"{cost.units} unit{'' if cost.units == 1 else 's'}"] if cost.units else []
        parts += [f"{amount} {currency}" for currency, amount in cost.amounts.items()] or ["no price is set"]
        lines.append(f"{cost.vendor} {cost.operation}: {', '.join(parts)}")
    if costs.totals:
        money = ", ".join(f"{amount} {currency}" for currency, amount in costs.totals.items())
        lines.append(f"total: {money}{', excluding operations without a price' if costs.unpriced else ''}")
    return lines
