"""Fault rules: add, list and remove them; the effects that have a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from emulator.clock import EVERYBODY
from emulator.control.dependencies import FilterDep
from emulator.world.faults.effects import PRESETS
from emulator.world.faults.rules import ActiveRule, FaultRule
from emulator.world.world import World


class ListedRule(BaseModel):
    """A fault rule, and what has become of it."""

    id: str
    rule: dict[str, Any] = Field(description="As it was added, without what is at its default.")
    matched: int = Field(description="How many calls it has matched, of the last 1000 credentials.")
    fired: int = Field(description="How often it has done something.")

    @classmethod
    def of(cls, rule_id: str, active: ActiveRule) -> ListedRule:
        """Return how a rule is listed."""
        rule = active.rule.model_dump(mode="json", exclude_defaults=True)
        return cls(id=rule_id, rule=rule, matched=sum(active.seen.values()), fired=active.fired)


def faults_router(world: World) -> APIRouter:
    """Return the routes of the faults."""
    router = APIRouter(tags=["faults"])
    faults = world.faults

    @router.get("/faults")
    async def list_faults(credential: FilterDep) -> list[ListedRule]:
        """List the rules that may still fire, the oldest first."""
        return [ListedRule.of(rule_id, active) for rule_id, active in faults.rules(credential).items()]

    @router.post("/faults", status_code=201)
    async def add_fault(rule: FaultRule) -> ListedRule:
        """Add a rule."""
        return await add_rule(world, rule)

    @router.delete("/faults", status_code=204)
    async def forget_faults(credential: FilterDep) -> None:
        """Forget the rules of a credential, or all."""
        await faults.remove_all(credential)

    @router.delete("/faults/{rule_id}", status_code=204)
    async def remove_fault(rule_id: str) -> None:
        """Remove a rule."""
        if not await faults.remove(rule_id):
            raise HTTPException(
                404, f"there is no rule {rule_id}, or not any more; GET /_emulator/faults lists them"
            )

    @router.get("/effects")
    async def list_effects() -> Mapping[str, dict[str, Any]]:
        """List the effects that have a name, beside the errors of `GET /_emulator/errors`."""
        return {
            name: effect.model_dump(mode="json", exclude_defaults=True) for name, effect in PRESETS.items()
        }

    return router


async def add_rule(world: World, rule: FaultRule) -> ListedRule:
    """Return a rule that was added, with its id.

    Raises
    ------
    UnknownFault
        If it names what is not there.
    """
    world.faults.check(rule)
    credential = rule.match.credential or EVERYBODY
    async with world.creations.of(credential):
        rule_id = (await world.ids.draw(credential, "fault", 4)).hex()
        return ListedRule.of(rule_id, await world.faults.add(rule_id, rule))
