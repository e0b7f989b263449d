"""Tables of fault rules, named effects, scenarios and the journal's warnings."""

from __future__ import annotations

from pydantic import BaseModel

from docgen.markdown import code, table
from docgen.schema import members
from docgen.vendors import member_table, shipped_vendors
from emulator.control.scenario_files import shipped_scenarios
from emulator.world.faults.effects import PRESETS, Effect
from emulator.world.faults.rules import FaultRule, Match
from emulator.world.warnings import WARNINGS


def match() -> str:
    """Return a table of the members of a rule's ``match``."""
    return _members(Match)


def effect() -> str:
    """Return a table of the members of a rule's ``effect``."""
    return _members(Effect)


def rule() -> str:
    """Return a table of a rule's members, except ``match`` and ``scenario``."""
    schema = FaultRule.model_json_schema()
    rows = [each for each in members(schema, schema, depth=1) if each.path not in {"match", "scenario"}]
    return member_table(rows, "member")


def presets() -> str:
    """Return a table of the named effects."""
    rows = [
        (code(name), code(effect.model_dump_json(exclude_defaults=True))) for name, effect in PRESETS.items()
    ]
    return table(("name", "effect"), rows)


def scenarios() -> str:
    """Return a table of the shipped scenarios."""
    found = shipped_scenarios(shipped_vendors())
    return table(("scenario", "does"), [(code(name), each.description) for name, each in found.items()])


def warnings() -> str:
    """Return a table of the warnings that a call in the journal can have."""
    rows = [(code(kind.code), kind.when, kind.advice) for kind in WARNINGS.values()]
    return table(("warning", "the client", "advice"), rows)


def _members(model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    return member_table(members(schema, schema, depth=2), "member")
