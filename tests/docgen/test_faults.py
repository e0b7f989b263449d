"""The tables of fault rules name every form that a rule accepts."""

from __future__ import annotations

from docgen.faults import effect, rule
from emulator.world.faults.effects import PRESETS
from emulator.world.faults.rules import FaultRule


def test_the_tables_have_the_short_forms_of_an_effect_and_of_a_latency() -> None:
    assert "| `effect` | text or object | yes |" in rule()
    assert "| `latency` | number (0 to 3600) or object or `null` |" in effect()
    assert FaultRule.model_validate({"effect": "slow"}).effect == PRESETS["slow"]
    assert FaultRule.model_validate({"effect": {"latency": 2}}).effect == PRESETS["slow"]
