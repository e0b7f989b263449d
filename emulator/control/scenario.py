"""Scenarios: named sets of fault rules and settings. They are built in, or in a tester's own files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.clock import ALL_CREDENTIALS
from emulator.control.dependencies import CredentialText, FilterDep
from emulator.control.faults import ListedRule, add_rule
from emulator.control.lifetimes import LifetimesByVendor
from emulator.tasks.progression import Progression
from emulator.web.vendor import Vendor
from emulator.world.credentials import CredentialState
from emulator.world.faults.rules import FaultRule
from emulator.world.text import Text
from emulator.world.world import World

SUFFIXES = (".toml", ".yaml", ".yml")

TEXT_BODY = {"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}}
"""OpenAPI of a request body that is a text file."""

ShippedName = Annotated[
    str, PathParameter(description="Name of a built-in scenario, as in `GET /_emulator/scenarios`.")
]
FileName = Annotated[
    str, PathParameter(description="Name of the file; it must end in `.toml`, `.yaml` or `.yml`.")
]
LoadedName = Annotated[str, PathParameter(description="Name of a scenario that was loaded.")]
OneCredential = Annotated[
    CredentialText | None,
    Query(description="Load the scenario for this credential only. Omit it to load for all credentials."),
]


class ScenarioUnreadable(Exception):
    """The scenario does not exist, or its file is not valid."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"the scenario {self.name} cannot be read: {self.reason}"


class Scenario(BaseModel):
    """A named set of fault rules and settings, to be loaded together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of the scenario: letters, digits, dots, underscores and hyphens.",
    )
    description: Text = Field(default="", description="What the scenario does.")
    progression: Progression | None = Field(
        default=None,
        description="Rule that decides when new tasks appear finished; null to keep the current one.",
    )
    lifetimes: LifetimesByVendor = Field(
        default_factory=dict, description="Lifetimes to set, by vendor and name."
    )
    credentials: Mapping[CredentialText, CredentialState] = Field(
        default_factory=dict, description="States to set, by credential."
    )
    rules: tuple[FaultRule, ...] = Field(default=(), description="Fault rules to add.")


class CoreScenario(Scenario):
    """The part of a built-in scenario that is the same for all vendors."""

    otherwise: tuple[FaultRule, ...] = Field(
        default=(), description="Fault rules for each vendor that has no own part of this scenario."
    )


AnyScenario = TypeVar("AnyScenario", bound=Scenario)


class ListedScenario(BaseModel):
    """A built-in scenario."""

    name: str = Field(description="Name of the scenario.")
    description: str = Field(description="What the scenario does.")


class LoadedScenario(BaseModel):
    """The name of a loaded scenario, and the rules that it added."""

    name: str = Field(description="Name of the scenario.")
    rules: list[ListedRule] = Field(description="Rules that the scenario added.")


def shipped_scenarios(vendors: Sequence[Vendor]) -> Mapping[str, Scenario]:
    """Return the built-in scenarios, by name.

    A vendor can have a folder ``scenarios`` with parts that apply only to this vendor. Such a file adds rules
    and settings to the built-in scenario of the same name, or defines a new scenario.

    Raises
    ------
    ScenarioUnreadable
        If a file is not a valid scenario, or a vendor's file names another vendor.
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
    """Yield the scenarios in a vendor's folder, with their rules limited to this vendor."""
    for scenario in _scenarios_in(vendor.folder.joinpath("scenarios"), Scenario):
        named = {rule.match.vendor for rule in scenario.rules} | set(scenario.lifetimes)
        if not named <= {None, vendor.name}:
            raise ScenarioUnreadable(
                scenario.name, f"it is in the folder of {vendor.name}, but names another vendor"
            )
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
    """Merge scenarios into one. The first description and the first progression are used."""
    return Scenario(
        name=parts[0].name,
        description=next((part.description for part in parts if part.description), ""),
        progression=next((part.progression for part in parts if part.progression), None),
        lifetimes={vendor: mine for part in parts for vendor, mine in part.lifetimes.items()},
        credentials={name: state for part in parts for name, state in part.credentials.items()},
        rules=tuple(rule for part in parts for rule in part.rules),
    )


def read_scenario(path: Path) -> Scenario:
    """Return the scenario in a TOML or YAML file. The suffix of the file's name decides the format.

    Raises
    ------
    ScenarioUnreadable
        If the file cannot be read, or is not a valid scenario.
    """
    try:
        return parse_scenario(path.name, path.read_text("utf-8"))
    except (OSError, UnicodeError) as error:
        raise ScenarioUnreadable(str(path), str(error)) from error


def find_scenario(name: str, vendors: Sequence[Vendor]) -> Scenario:
    """Return a scenario. ``name`` is the name of a built-in scenario, or the path of a file.

    Raises
    ------
    ScenarioUnreadable
        If there is no such scenario, or the file is not valid.
    """
    shipped = shipped_scenarios(vendors)
    if name in shipped:
        return shipped[name]
    if not name.endswith(SUFFIXES):
        known = ", ".join(shipped)
        raise ScenarioUnreadable(
            name, f"choose one of {known}, or a file that ends in {' or '.join(SUFFIXES)}"
        )
    return read_scenario(Path(name))


def parse_scenario(file_name: str, text: str) -> Scenario:
    """Return the scenario in ``text``. Its default name is the name of the file, without the suffix.

    Raises
    ------
    ScenarioUnreadable
        If the text is not valid TOML or YAML, or not a valid scenario.
    """
    return _parse(file_name, text, Scenario)


def _uploaded(file_name: str, body: bytes) -> Scenario:
    """Return the scenario in an uploaded file."""
    if not file_name.endswith(SUFFIXES):
        raise HTTPException(422, f"file_name: must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    try:
        return parse_scenario(file_name, body.decode())
    except UnicodeDecodeError as error:
        raise HTTPException(422, str(ScenarioUnreadable(file_name, "it is not UTF-8"))) from error
    except ScenarioUnreadable as error:
        raise HTTPException(422, str(error)) from error


def _parse(file_name: str, text: str, kind: type[AnyScenario]) -> AnyScenario:
    try:
        document = tomllib.loads(text) if file_name.endswith(".toml") else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise ScenarioUnreadable(file_name, str(error)) from error
    if not isinstance(document, dict):
        raise ScenarioUnreadable(
            file_name, "it must have members such as `description` and `rules` at its top level"
        )
    try:
        return kind.model_validate({"name": Path(file_name).stem, **document})
    except ValidationError as error:
        raise ScenarioUnreadable(file_name, str(error)) from error


async def load_scenario(
    world: World, scenario: Scenario, credential: str = ALL_CREDENTIALS
) -> LoadedScenario:
    """Load a scenario for one credential, or for all, and return the rules that it added.

    If the scenario was loaded before, the new rules replace the rules from then. If this raises, nothing has
    changed.

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


def scenario_router(world: World, vendors: Sequence[Vendor]) -> APIRouter:
    """Return the routes for scenarios."""
    router = APIRouter(prefix="/scenarios", tags=["scenarios"])
    shipped = shipped_scenarios(vendors)

    def of_name(name: str) -> Scenario:
        if name not in shipped:
            raise HTTPException(
                404, f"there is no built-in scenario {name}; choose one of {', '.join(shipped)}"
            )
        return shipped[name]

    @router.get("")
    async def list_scenarios() -> list[ListedScenario]:
        """List the built-in scenarios."""
        return [
            ListedScenario(name=scenario.name, description=scenario.description)
            for scenario in shipped.values()
        ]

    @router.get("/{name}")
    async def read_scenario_(name: ShippedName) -> Scenario:
        """Return a built-in scenario."""
        return of_name(name)

    @router.post("/{name}")
    async def load_shipped(name: ShippedName, credential: OneCredential = None) -> LoadedScenario:
        """Load a built-in scenario.

        Loading adds the rules of the scenario and applies its settings. If the scenario is loaded again, the
        new rules replace the old ones.
        """
        return await load_scenario(world, of_name(name), credential or ALL_CREDENTIALS)

    @router.post("")
    async def load_own(scenario: Scenario, credential: OneCredential = None) -> LoadedScenario:
        """Load a scenario from the request body.

        Loading adds the rules of the scenario and applies its settings. If a scenario of the same name was
        loaded before, the new rules replace the old ones.
        """
        return await load_scenario(world, scenario, credential or ALL_CREDENTIALS)

    @router.post("/files/{file_name}", openapi_extra=TEXT_BODY)
    async def load_file(
        file_name: FileName, request: Request, credential: OneCredential = None
    ) -> LoadedScenario:
        """Load a scenario from a file.

        The request body is the content of a TOML or YAML file. Apart from that, it does the same as
        `POST /_emulator/scenarios`.
        """
        scenario = _uploaded(file_name, await request.body())
        return await load_scenario(world, scenario, credential or ALL_CREDENTIALS)

    @router.delete("/{name}", status_code=204)
    async def unload(name: LoadedName, credential: FilterDep) -> None:
        """Remove the rules of a scenario.

        The other settings from the scenario stay: when tasks appear finished, lifetimes, and states of
        credentials.
        """
        if not await unload_scenario(world, name, credential):
            raise HTTPException(
                404, f"no rule of the scenario {name} is active; GET /_emulator/faults lists the rules"
            )

    return router
