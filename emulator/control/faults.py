"""Routes for fault rules and named effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, Field

from emulator.clock import ALL_CREDENTIALS
from emulator.control.dependencies import FilterDep
from emulator.world.faults.effects import PRESETS
from emulator.world.faults.rules import ActiveRule, FaultRule
from emulator.world.world import World


class ListedRule(BaseModel):
    """A fault rule with its id and its counts."""

    id: str = Field(description="Id of the rule.")
    rule: dict[str, Any] = Field(description="The rule, without the members that have their default value.")
    matched: int = Field(
        description="Number of calls that matched. Only the calls of the 1000 credentials with the most "
        "recent matches are counted."
    )
    fired: int = Field(description="Number of times that the rule has fired.")

    @classmethod
    def of(cls, rule_id: str, active: ActiveRule) -> ListedRule:
        """Return the description of a rule for the response."""
        rule = active.rule.model_dump(mode="json", exclude_defaults=True)
        return cls(id=rule_id, rule=rule, matched=sum(active.seen.values()), fired=active.fired)


def faults_router(world: World) -> APIRouter:
    """Return the routes for fault rules and effects."""
    router = APIRouter(tags=["faults"])
    faults = world.faults

    @router.get("/faults")
    async def list_faults(credential: FilterDep) -> list[ListedRule]:
        """List the active fault rules, oldest first.

        An active rule can still fire: it has neither expired nor fired `count` times.
        """
        return [ListedRule.of(rule_id, active) for rule_id, active in faults.rules(credential).items()]

    @router.post("/faults", status_code=201)
    async def add_fault(rule: FaultRule) -> ListedRule:
        """Add a fault rule.

        A rule without `match.credential` applies to all credentials.
        """
        return await add_rule(world, rule)

    @router.delete("/faults", status_code=204)
    async def forget_faults(credential: FilterDep) -> None:
        """Remove the fault rules of a credential.

        Without `credential`, all rules of all credentials are removed.
        """
        await faults.remove_all(credential)

    @router.delete("/faults/{rule_id}", status_code=204)
    async def remove_fault(rule_id: Annotated[str, Path(description="Id of the rule.")]) -> None:
        """Remove a fault rule."""
        if not await faults.remove(rule_id):
            raise HTTPException(
                404, f"there is no active rule {rule_id}; GET /_emulator/faults lists the active rules"
            )

    @router.get("/effects")
    async def list_effects() -> Mapping[str, dict[str, Any]]:
        """List the named effects.

        In a rule, `effect` can be one of these names, or the name of an error from `GET /_emulator/errors`.
        """
        return {
            name: effect.model_dump(mode="json", exclude_defaults=True) for name, effect in PRESETS.items()
        }

    return router


async def add_rule(world: World, rule: FaultRule) -> ListedRule:
    """Add a rule, and return it with its id.

    Raises
    ------
    UnknownFault
        If a name in the rule does not exist, or the rule can never fire.
    """
    world.faults.check(rule)
    credential = rule.match.credential or ALL_CREDENTIALS
    async with world.creations.of(credential):
        rule_id = (await world.ids.draw(credential, "fault", 4)).hex()
        return ListedRule.of(rule_id, await world.faults.add(rule_id, rule))
