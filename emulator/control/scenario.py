"""Scenarios: named sets of fault rules and settings, from files that come along or are one's own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import yaml
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.clock import EVERYBODY
from emulator.control.dependencies import CredentialDep, CredentialText, FilterDep
from emulator.control.faults import ListedRule, add_rule
from emulator.control.lifetimes import LifetimesByVendor
from emulator.tasks.progression import Progression
from emulator.web.vendor import Vendor
from emulator.world.credentials import CredentialState
from emulator.world.faults.rules import FaultRule
from emulator.world.text import Text
from emulator.world.world import World

SUFFIXES = (".toml", ".yaml", ".yml")


class ScenarioUnreadable(Exception):
    """The file holds no scenario."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"the scenario {self.name} cannot be read: {self.reason}"


class Scenario(BaseModel):
    """A named set of fault rules and settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: Text = ""
    progression: Progression | None = Field(default=None, description="When new tasks are over.")
    lifetimes: LifetimesByVendor = Field(
        default_factory=dict, description="How long things live, by vendor and setting."
    )
    credentials: Mapping[CredentialText, CredentialState] = Field(
        default_factory=dict, description="Credentials to list, and what they are."
    )
    rules: tuple[FaultRule, ...] = Field(default=(), description="What goes wrong.")


class CoreScenario(Scenario):
    """A scenario that comes along, before the vendors have added to it."""

    otherwise: tuple[FaultRule, ...] = Field(
        default=(), description="What goes wrong at each vendor that adds nothing of its own."
    )


AnyScenario = TypeVar("AnyScenario", bound=Scenario)


class ListedScenario(BaseModel):
    """A scenario that comes along."""

    name: str
    description: str


class LoadedScenario(BaseModel):
    """A scenario that was loaded, and the rules that it added."""

    name: str
    rules: list[ListedRule]


def shipped_scenarios(vendors: Sequence[Vendor]) -> Mapping[str, Scenario]:
    """Return the scenarios that come along, by name.

    A vendor's folder may have a folder ``scenarios``. What is in it holds for this vendor alone: a file
    adds to the scenario of its name, or is one in which the other vendors have no part.

    Raises
    ------
    ScenarioUnreadable
        If a file holds no scenario, or one for another vendor.
    """
    folder = resources.files("emulator.control").joinpath("scenarios")
    core = {scenario.name: scenario for scenario in _scenarios_in(folder, CoreScenario)}
    parts = [(vendor, {part.name: part for part in _scenarios_of(vendor)}) for vendor in vendors]
    found = {}
    for name in sorted({*core, *(name for _, mine in parts for name in mine)}):
        base = core.get(name, CoreScenario(name=name))
        own = [mine[name] for _, mine in parts if name in mine]
        others = [
            Scenario(name=name, rules=_rules_of(vendor, base.otherwise))
            for vendor, mine in parts
            if name not in mine
        ]
        found[name] = _together([base, *own, *others])
    return found


def _scenarios_of(vendor: Vendor) -> Iterator[Scenario]:
    """Yield what a vendor's folder holds, each rule as one for this vendor."""
    for scenario in _scenarios_in(vendor.folder.joinpath("scenarios"), Scenario):
        named = {rule.match.vendor for rule in scenario.rules} | set(scenario.lifetimes)
        if not named <= {None, vendor.name}:
            raise ScenarioUnreadable(scenario.name, f"it lies with {vendor.name}, and names another vendor")
        yield scenario.model_copy(update={"rules": _rules_of(vendor, scenario.rules)})


def _scenarios_in(folder: Traversable, kind: type[AnyScenario]) -> Iterator[AnyScenario]:
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name.endswith(SUFFIXES):
            yield _parse(file.name, file.read_text("utf-8"), kind)


def _rules_of(vendor: Vendor, rules: Sequence[FaultRule]) -> tuple[FaultRule, ...]:
    return tuple(
        rule.model_copy(update={"match": rule.match.model_copy(update={"vendor": vendor.name})})
        for rule in rules
    )


def _together(parts: Sequence[Scenario]) -> Scenario:
    """Return one scenario of several; of what there can be only one, the first that is given."""
    return Scenario(
        name=parts[0].name,
        description=next((part.description for part in parts if part.description), ""),
        progression=next((part.progression for part in parts if part.progression), None),
        lifetimes={vendor: mine for part in parts for vendor, mine in part.lifetimes.items()},
        credentials={name: state for part in parts for name, state in part.credentials.items()},
        rules=tuple(rule for part in parts for rule in part.rules),
    )


def read_scenario(path: Path) -> Scenario:
    """Return the scenario in a file, TOML or YAML by its name's ending.

    Raises
    ------
    ScenarioUnreadable
        If there is none in it.
    """
    try:
        return parse_scenario(path.name, path.read_text("utf-8"))
    except (OSError, UnicodeError) as error:
        raise ScenarioUnreadable(str(path), str(error)) from error


def find_scenario(name: str, vendors: Sequence[Vendor]) -> Scenario:
    """Return a scenario that comes along, by its name, or one's own, by its path.

    Raises
    ------
    ScenarioUnreadable
        If there is neither.
    """
    shipped = shipped_scenarios(vendors)
    if name in shipped:
        return shipped[name]
    if not name.endswith(SUFFIXES):
        known = ", ".join(shipped)
        raise ScenarioUnreadable(
            name, f"there are {known}; a file of your own ends in {' or '.join(SUFFIXES)}"
        )
    return read_scenario(Path(name))


def parse_scenario(file_name: str, text: str) -> Scenario:
    """Return the scenario that ``text`` describes; one without a name has its file's.

    Raises
    ------
    ScenarioUnreadable
        If it is neither TOML nor YAML, as its name says, or something in it is wrong.
    """
    return _parse(file_name, text, Scenario)


def _parse(file_name: str, text: str, kind: type[AnyScenario]) -> AnyScenario:
    try:
        document = tomllib.loads(text) if file_name.endswith(".toml") else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise ScenarioUnreadable(file_name, str(error)) from error
    if not isinstance(document, dict):
        raise ScenarioUnreadable(file_name, "it holds no table")
    try:
        return kind.model_validate({"name": Path(file_name).stem, **document})
    except ValidationError as error:
        raise ScenarioUnreadable(file_name, str(error)) from error


async def load_scenario(world: World, scenario: Scenario, credential: str = EVERYBODY) -> LoadedScenario:
    """Return what was added: the scenario's rules; for one credential, if ``credential`` is one.

    Loading it again replaces what it had added.

    Raises
    ------
    UnknownFault
        If a rule names what is not there; then nothing is changed.
    LifetimeRefused
        If a lifetime is not there or cannot be so long; then nothing is changed either.
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
    # Two that replace at the same moment would both remove first, and then both add.
    async with world.scenarios:
        for whose in {credential, *(rule.match.credential or EVERYBODY for rule in rules)}:
            await _remove_rules(world, scenario.name, whose)
        for listed, state in scenario.credentials.items():
            await world.credentials.put(listed, state)
        if scenario.progression is not None:
            await world.tasks.progressions.put(credential, credential, scenario.progression)
        await world.lifetimes.put(credential, scenario.lifetimes)
        return LoadedScenario(name=scenario.name, rules=[await add_rule(world, rule) for rule in rules])


async def unload_scenario(world: World, name: str, credential: str | None) -> int:
    """Return how many rules of a scenario were removed: of one credential, or of all."""
    async with world.scenarios:
        return await _remove_rules(world, name, credential)


async def _remove_rules(world: World, name: str, credential: str | None) -> int:
    removed = [
        rule_id for rule_id, active in world.faults.rules(credential).items() if active.rule.scenario == name
    ]
    for rule_id in removed:
        await world.faults.remove(rule_id)
    return len(removed)


def scenario_router(world: World, vendors: Sequence[Vendor]) -> APIRouter:
    """Return the routes of the scenarios."""
    router = APIRouter(prefix="/scenarios", tags=["scenarios"])
    shipped = shipped_scenarios(vendors)

    def of_name(name: str) -> Scenario:
        if name not in shipped:
            raise HTTPException(404, f"there is no scenario {name}; there are {', '.join(shipped)}")
        return shipped[name]

    @router.get("")
    async def list_scenarios() -> list[ListedScenario]:
        """List the scenarios that come along."""
        return [
            ListedScenario(name=scenario.name, description=scenario.description)
            for scenario in shipped.values()
        ]

    @router.get("/{name}")
    async def read_scenario_(name: str) -> Scenario:
        """Show a scenario that comes along."""
        return of_name(name)

    @router.post("/{name}")
    async def load_shipped(name: str, credential: CredentialDep) -> LoadedScenario:
        """Load a scenario that comes along, for everybody or one credential."""
        return await load_scenario(world, of_name(name), credential)

    @router.post("")
    async def load_own(scenario: Scenario, credential: CredentialDep) -> LoadedScenario:
        """Load a scenario of one's own."""
        return await load_scenario(world, scenario, credential)

    @router.delete("/{name}", status_code=204)
    async def unload(name: str, credential: FilterDep) -> None:
        """Remove the rules that a scenario added; what it set stays."""
        if not await unload_scenario(world, name, credential):
            raise HTTPException(404, f"no rule of a scenario {name} is active")

    return router
