"""Models of scenarios, and the reading of scenarios from TOML and YAML files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.control.dependencies import CredentialText
from emulator.control.lifetimes import LifetimesByVendor
from emulator.control.scenario_error import ScenarioUnreadable
from emulator.tasks.progression import Progression
from emulator.web.vendor import Vendor
from emulator.world.credentials import CredentialState
from emulator.world.faults.rules import FaultRule
from emulator.world.text import Text

MOST_BYTES: Final = 256 * 1024
"""Largest uploaded file, in bytes."""

DEEPEST: Final = 100
"""Largest depth of brackets in a file."""

SUFFIXES = (".toml", ".yaml", ".yml")
"""Suffixes of the names of scenario files."""


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
        description="When new tasks appear finished; null to keep the current progression.",
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
        default=(), description="Fault rules for each vendor without its own part of this scenario."
    )


AnyScenario = TypeVar("AnyScenario", bound=Scenario)


def shipped_scenarios(vendors: Sequence[Vendor]) -> Mapping[str, Scenario]:
    """Return the built-in scenarios, by name.

    A vendor can have a folder ``scenarios``. A file in this folder applies only to this vendor. It adds rules
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


async def parse_upload(file_name: str, body: bytes) -> Scenario:
    """Return the scenario in an uploaded file. It is parsed in a thread, because parsing YAML is slow.

    Raises
    ------
    ScenarioUnreadable
        If the file is too large, or not a valid scenario.
    """
    if len(body) > MOST_BYTES:
        raise ScenarioUnreadable(file_name, f"it has more than {MOST_BYTES} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ScenarioUnreadable(file_name, "it is not UTF-8") from error
    return await anyio.to_thread.run_sync(parse_scenario, file_name, text)


def _loaded_yaml(text: str) -> Any:
    """Return the YAML document in ``text``. Aliases are refused.

    A few aliases of aliases can expand to millions of values.
    """
    import yaml  # noqa: PLC0415 - the start of a server does not need it

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs lack it
                raise yaml.composer.ComposerError(None, None, "aliases (*) are not supported", mark)
            return super().compose_node(parent, index)

    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _parse(file_name: str, text: str, kind: type[AnyScenario]) -> AnyScenario:
    # Both parsers are recursive, and PyYAML needs seconds to fail at its limit.
    depth = deepest = 0
    for bracket in re.findall(r"[\[{]|[\]}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise ScenarioUnreadable(file_name, "it is nested too deeply")
    try:
        document = tomllib.loads(text) if file_name.endswith(".toml") else _loaded_yaml(text)
    except RecursionError as error:
        raise ScenarioUnreadable(file_name, "it is nested too deeply") from error
    except ValueError as error:  # also if a date or a number of YAML is out of range
        raise ScenarioUnreadable(file_name, str(error)) from error
    if not isinstance(document, dict):
        raise ScenarioUnreadable(
            file_name, "it must have members such as `description` and `rules` at its top level"
        )
    try:
        return kind.model_validate({"name": Path(file_name).stem, **document})
    except ValidationError as error:
        raise ScenarioUnreadable(file_name, str(error)) from error
