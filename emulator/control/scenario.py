"""Functions and routes that load scenarios and remove their rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field

from emulator.clock import ALL_CREDENTIALS
from emulator.control.dependencies import CredentialText, FilterDep
from emulator.control.faults import ListedRule, add_rule
from emulator.control.scenario_error import ScenarioUnreadable
from emulator.control.scenario_files import (
    SUFFIXES,
    Scenario,
    parse_upload,
    shipped_scenarios,
)
from emulator.web.vendor import Vendor
from emulator.world.world import World

TEXT_BODY = {"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}}
"""OpenAPI of a request body that is a text file."""

ShippedName = Annotated[
    str, Path(description="Name of a built-in scenario, as in `GET /_emulator/scenarios`.")
]
FileName = Annotated[str, Path(description="Name of the file; it must end in `.toml`, `.yaml` or `.yml`.")]
LoadedName = Annotated[str, Path(description="Name of a scenario that was loaded.")]
OneCredential = Annotated[
    CredentialText | None,
    Query(description="Load the scenario for this credential only. Omit it to load for all credentials."),
]


class ListedScenario(BaseModel):
    """A built-in scenario."""

    name: str = Field(description="Name of the scenario.")
    description: str = Field(description="What the scenario does.")


class LoadedScenario(BaseModel):
    """The name of a loaded scenario, and the rules that it added."""

    name: str = Field(description="Name of the scenario.")
    rules: list[ListedRule] = Field(description="Rules that the scenario added.")


async def load_scenario(
    world: World, scenario: Scenario, credential: str = ALL_CREDENTIALS
) -> LoadedScenario:
    """Load a scenario for one credential, or for all, and return the rules that it added.

    If the scenario was loaded before, the new rules replace its earlier rules. If this function raises,
    nothing has changed.

    Raises
    ------
    UnknownFault
        If a name in a rule does not exist, or a rule can never fire.
    LifetimeRefused
        If a lifetime does not exist, or its value is invalid.
    """
    rules = [
        rule.model_copy(
            update={
                "scenario": scenario.name,
                "match": rule.match.model_copy(update={"credential": credential} if credential else {}),
            }
        )
        for rule in scenario.rules
    ]
    for rule in rules:
        world.faults.check(rule)
    world.lifetimes.check(scenario.lifetimes)
    # Without the lock, two loads at the same time could both remove the old rules and then both add rules.
    async with world.scenarios:
        for whose in {credential, *(rule.match.credential or ALL_CREDENTIALS for rule in rules)}:
            await _remove_rules(world, scenario.name, whose)
        for listed, state in scenario.credentials.items():
            await world.credentials.put(listed, state)
        if scenario.progression is not None:
            await world.tasks.progressions.put(credential, credential, scenario.progression)
        await world.lifetimes.put(credential, scenario.lifetimes)
        return LoadedScenario(name=scenario.name, rules=[await add_rule(world, rule) for rule in rules])


async def unload_scenario(world: World, name: str, credential: str | None) -> int:
    """Remove the rules of a scenario, for one credential or for all. Return the number of removed rules."""
    async with world.scenarios:
        return await _remove_rules(world, name, credential)


async def _remove_rules(world: World, name: str, credential: str | None) -> int:
    removed = [
        rule_id for rule_id, active in world.faults.rules(credential).items() if active.rule.scenario == name
    ]
    for rule_id in removed:
        await world.faults.remove(rule_id)
    return len(removed)


async def _uploaded(file_name: str, body: bytes) -> Scenario:
    """Return the scenario in an uploaded file."""
    if not file_name.endswith(SUFFIXES):
        raise HTTPException(422, f"file_name: must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    try:
        return await parse_upload(file_name, body)
    except ScenarioUnreadable as error:
        raise HTTPException(422, str(error)) from error


def scenario_router(world: World, vendors: Sequence[Vendor]) -> APIRouter:
    """Return the routes for scenarios."""
    router = APIRouter(tags=["scenarios"])
    shipped = shipped_scenarios(vendors)

    def of_name(name: str) -> Scenario:
        if name not in shipped:
            raise HTTPException(
                404, f"there is no built-in scenario {name}; choose one of {', '.join(shipped)}"
            )
        return shipped[name]

    @router.get("/scenarios")
    async def list_scenarios() -> list[ListedScenario]:
        """List the built-in scenarios."""
        return [
            ListedScenario(name=scenario.name, description=scenario.description)
            for scenario in shipped.values()
        ]

    @router.get("/scenarios/{name}")
    async def read_scenario_(name: ShippedName) -> Scenario:
        """Return a built-in scenario."""
        return of_name(name)

    @router.post("/scenarios/{name}")
    async def load_shipped(name: ShippedName, credential: OneCredential = None) -> LoadedScenario:
        """Load a built-in scenario.

        This adds the rules of the scenario, and applies its settings. If the scenario is loaded again, the
        new rules replace the old ones.
        """
        return await load_scenario(world, of_name(name), credential or ALL_CREDENTIALS)

    @router.post("/scenarios")
    async def load_own(scenario: Scenario, credential: OneCredential = None) -> LoadedScenario:
        """Load a scenario from the request body.

        This adds the rules of the scenario, and applies its settings. If a scenario of the same name was
        loaded before, the new rules replace the old ones.
        """
        return await load_scenario(world, scenario, credential or ALL_CREDENTIALS)

    # Not ``POST /scenarios/{file_name}``, which would be the same route as ``load_shipped``.
    @router.post("/scenario-files/{file_name}", openapi_extra=TEXT_BODY)
    async def load_file(
        file_name: FileName, request: Request, credential: OneCredential = None
    ) -> LoadedScenario:
        """Load a scenario from a file.

        The call is the same as `POST /_emulator/scenarios`, but the request body is the content of a TOML or
        YAML file.
        """
        scenario = await _uploaded(file_name, await request.body())
        return await load_scenario(world, scenario, credential or ALL_CREDENTIALS)

    @router.delete("/scenarios/{name}", status_code=204)
    async def unload(name: LoadedName, credential: FilterDep) -> None:
        """Remove the rules of a scenario.

        The settings that the scenario changed are kept: the progression of tasks, the lifetimes, and the
        states of credentials.
        """
        if not await unload_scenario(world, name, credential):
            raise HTTPException(
                404, f"no rule of the scenario {name} is active; GET /_emulator/faults lists the rules"
            )

    return router
