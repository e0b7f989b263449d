"""The documentation's pages, and the functions that write their generated parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from docgen import client, commands, control, faults, fixtures, metrics, settings, vendors

ROOT = Path(__file__).parent.parent

PARTS: Mapping[str, Callable[..., str]] = {
    "settings": settings.emulator_settings,
    "shared-settings": settings.shared_settings,
    "vendor-settings": settings.vendor_settings,
    "operations": vendors.operations,
    "errors": vendors.errors,
    "credential-states": vendors.credential_states,
    "test-faces": vendors.test_faces,
    "ledger-totals": vendors.ledger_totals,
    "client": client.client,
    "commands": commands.commands,
    "control-api": control.control_api,
    "metrics": metrics.metrics,
    "match": faults.match,
    "effect": faults.effect,
    "rule": faults.rule,
    "presets": faults.presets,
    "scenarios": faults.scenarios,
    "warnings": faults.warnings,
    "fixtures": fixtures.fixtures,
    "pytest-options": fixtures.options,
    "pytest-settings": fixtures.settings,
    "pytest-mark": fixtures.mark,
}
"""Functions that return a generated part, by the name of the part. Words after the name are arguments."""

_PART = re.compile(r"<!-- BEGIN (?P<name>[\w -]+) -->\n.*?<!-- END (?P=name) -->", re.DOTALL)


def pages() -> Iterator[Path]:
    """Yield the pages of the documentation that can have generated parts."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").glob("*.md"))


def parts_of(text: str) -> list[str]:
    """Return the names of a page's generated parts, each with its arguments."""
    return [found["name"] for found in _PART.finditer(text)]


def filled(text: str) -> str:
    """Return a page with its parts regenerated.

    Raises
    ------
    KeyError
        If the page has a part with an unknown name.
    """
    return _PART.sub(_fill, text)


def _fill(found: re.Match[str]) -> str:
    name, *arguments = found["name"].split()
    return f"<!-- BEGIN {found['name']} -->\n\n{PARTS[name](*arguments)}\n\n<!-- END {found['name']} -->"
