"""Everything that a user can name is documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from documents import DOCS, ROOT
from vendor_data import VENDORS, is_shipped, ledger_of

from emulator.app import create_app
from emulator.cli import app
from emulator.control.scenario_files import shipped_scenarios
from emulator.settings import Settings
from emulator.version import VERSION
from emulator.web.vendor import Vendor, VendorSettings
from emulator.world.faults.effects import PRESETS, Effect
from emulator.world.faults.rules import Match
from emulator.world.warnings import WARNINGS
from face_api_emulator import pytest_plugin
from face_api_emulator.client import Client

SHIPPED = [vendor for vendor in VENDORS.values() if is_shipped(vendor)]

LINES_OF_README = 120


def text_of(page: str) -> str:
    return (DOCS / f"{page}.md").read_text()


def row(name: str) -> str:
    """Return how a row of a table begins."""
    return f"| `{name}` |"


def commands_of(group: click.Group, prefix: str = "face-emulator") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands_of(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= LINES_OF_README


def test_the_changelog_begins_with_this_version() -> None:
    (first, *_) = re.findall(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first == VERSION


def test_every_setting_is_documented_with_its_description() -> None:
    for name, field in Settings.model_fields.items():
        assert row(f"FACE_EMULATOR_{name.upper()}") in text_of("settings"), name
        assert field.description
    for vendor in VENDORS.values():
        for name, field in vendor.settings_model.model_fields.items():
            assert field.description, (vendor.name, name)
            if not is_shipped(vendor):
                shared = name in VendorSettings.model_fields
                assert shared or f"`{vendor.name.upper()}__{name.upper()}`" in ledger_of(vendor), name
                continue
            prefix = "<VENDOR>" if name in VendorSettings.model_fields else vendor.name.upper()
            assert row(f"FACE_EMULATOR_VENDORS__{prefix}__{name.upper()}") in text_of("settings"), name


@pytest.mark.parametrize("vendor", SHIPPED, ids=lambda vendor: vendor.name)
def test_the_guide_of_a_vendor_has_every_operation_error_and_setting(vendor: Vendor) -> None:
    guide = text_of(vendor.name)
    for operation in vendor.operations.values():
        assert f"#### `{operation.name}`: {operation.method} " in guide
    for name in vendor.errors:
        assert row(name) in guide
    for name in set(vendor.settings_model.model_fields) - set(VendorSettings.model_fields):
        assert row(f"FACE_EMULATOR_VENDORS__{vendor.name.upper()}__{name.upper()}") in guide


def test_every_command_is_documented() -> None:
    names = list(commands_of(app))
    assert len(names) > 40
    for name in names:
        assert f"\n## {name}\n" in text_of("command-line")


def test_every_call_of_the_control_api_is_documented() -> None:
    paths = create_app(Settings(workers=1)).openapi()["paths"]
    for path, methods in paths.items():
        for method in methods:
            assert f"\n### {method.upper()} {path}\n" in text_of("control-api")


def test_every_method_of_the_client_is_documented() -> None:
    names = [name for name in dir(Client) if not name.startswith("_") and callable(getattr(Client, name))]
    for name in set(names) - {"close"}:
        assert f"| `{name}(" in text_of("python-client"), name


def test_every_fixture_and_option_is_documented() -> None:
    fixtures = [name for name in vars(pytest_plugin) if name.startswith("face_emulator")]
    assert fixtures
    for name in (*fixtures, "--face-emulator-url"):
        assert row(name) in text_of("pytest")


def test_every_effect_match_scenario_and_warning_is_documented() -> None:
    for name in (*PRESETS, *Effect.model_fields, *Match.model_fields):
        assert row(name) in text_of("faults"), name
    for name in shipped_scenarios(SHIPPED):
        assert row(name) in text_of("scenarios")
    for name in WARNINGS:
        assert row(name) in text_of("journal")


def test_every_page_is_in_the_navigation_and_on_the_first_page() -> None:
    configuration = (ROOT / "zensical.toml").read_text()
    for page in sorted(DOCS.rglob("*.md")):
        name = page.relative_to(DOCS).as_posix()
        assert f'"{name}"' in configuration, name
        if page.parent == DOCS and page.name != "index.md":
            assert f"]({name})" in text_of("index"), name


def test_every_vendor_of_this_repository_has_its_ledger_in_the_documentation() -> None:
    for vendor in SHIPPED:
        page = DOCS / "ledgers" / f"{vendor.name}.md"
        assert page.resolve() == Path(str(vendor.folder)) / "contract.md"


def test_the_glossary_is_in_alphabetical_order() -> None:
    terms = re.findall(r"^## (.+)", text_of("glossary"), re.MULTILINE)
    assert len(terms) > 30
    assert terms == sorted(terms, key=str.lower)
