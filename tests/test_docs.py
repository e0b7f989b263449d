"""README and docs are true: their commands run, and they name every setting and effect."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from vendor_data import VENDORS, is_shipped, ledger_of

from emulator.control.scenario import parse_scenario, shipped_scenarios
from emulator.settings import Settings
from emulator.web.vendor import VendorSettings
from emulator.world.faults.effects import PRESETS, Effect
from emulator.world.faults.rules import Match
from emulator.world.warnings import WARNINGS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}

# A block that quotes a file stands below a line that names it: `errors.py`:
QUOTE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [block for text in (README, *DOCS.values()) for block in BLOCK.findall(QUOTE.sub("", text))]
EXAMPLE = ROOT / "tests" / "example_vendor"
GUIDE = DOCS["adding-a-vendor.md"]
QUOTES = QUOTE.findall(GUIDE)
COMMANDS = {
    "sh": ["sh", "-eu", "-c"],
    "bash": ["bash", "-euo", "pipefail", "-c"],
    "python": [sys.executable, "-c"],
}
BASE_URL = "http://127.0.0.1:3468"


def names(block: tuple[str, str]) -> str:
    return block[1].strip().splitlines()[0]


def is_make(block: tuple[str, str]) -> bool:
    return block[1].startswith("make ")


@pytest.mark.parametrize("block", [block for block in BLOCKS if is_make(block)], ids=names)
def test_the_make_commands_are_those_that_ci_runs(block: tuple[str, str]) -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for line in block[1].splitlines():
        command = line.partition("#")[0].strip()
        assert re.search(rf"^{re.escape(command)}\b", script, re.MULTILINE), command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a checkout to a shell; blocks may use what earlier ones wrote."""
    path = tmp_path_factory.mktemp("readme")
    for name in ("fixtures", "tests", ".venv"):
        (path / name).symlink_to(ROOT / name)
    return path


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block[0] in COMMANDS and not is_make(block)], ids=names
)
def test_every_other_block_runs(block: tuple[str, str], folder: Path, client: httpx.Client) -> None:
    language, source = block
    source = source.replace(BASE_URL, str(client.base_url).rstrip("/"))
    done = subprocess.run(  # noqa: S603 - the documents' own commands
        [*COMMANDS[language], source],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for expected in re.findall(r"^# -> (.*)$", source, re.MULTILINE):
        assert expected in done.stdout


def test_every_setting_is_named() -> None:
    for name in Settings.model_fields:
        assert f"`FACE_EMULATOR_{name.upper()}" in README, name
    for vendor in VENDORS.values():
        documents = README if is_shipped(vendor) else ledger_of(vendor)
        for name, field in vendor.settings_model.model_fields.items():
            shared = name in VendorSettings.model_fields
            prefix = "<VENDOR>" if shared else vendor.name.upper()
            assert f"`{prefix}__{name.upper()}`" in (README if shared else documents), (vendor.name, name)
            assert field.description is not None
            assert field.description in (README if shared else documents), field.description


def test_every_warning_is_named() -> None:
    for code in WARNINGS:
        assert f"| `{code}` |" in DOCS["bend-reality.md"], code


def test_every_picture_and_file_that_is_linked_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", README)
    for link in (first or second for first, second in links):
        if not link.startswith("https://"):
            assert (ROOT / link).exists(), link


def test_the_totals_of_the_ledgers_are_counted() -> None:
    for vendor in filter(is_shipped, VENDORS.values()):
        ledger = ledger_of(vendor)
        counts = [len(re.findall(rf"\| {mark} \|", ledger)) for mark in ("CONFIRMED", "OBSERVED", "GUESS")]
        title = f"[{vendor.title}](emulator/vendors/{vendor.name}/contract.md)"
        row = f"| {title} | {counts[0]} | {counts[1]} | {counts[2]} |"
        assert row in README, row


def test_every_named_effect_and_scenario_is_in_the_docs() -> None:
    shipped = shipped_scenarios([vendor for vendor in VENDORS.values() if is_shipped(vendor)])
    for name in (*PRESETS, *shipped, *Effect.model_fields, *Match.model_fields):
        if name != "places":
            assert f"`{name}`" in DOCS["bend-reality.md"], name


def test_scenarios_in_the_docs_are_scenarios() -> None:
    sources = [source for language, source in BLOCKS if language == "toml"]
    assert sources
    for source in sources:
        assert parse_scenario("docs.toml", source).rules, tomllib.loads(source)


@pytest.mark.parametrize(("name", "quoted"), QUOTES, ids=[name for name, _ in QUOTES])
def test_what_the_guide_quotes_stands_in_the_file(name: str, quoted: str) -> None:
    assert f"\n{quoted}" in f"\n{(EXAMPLE / name).read_text()}"


def test_the_guide_mentions_every_file_of_the_example() -> None:
    files = [path for path in EXAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    names = [path.relative_to(EXAMPLE).as_posix() for path in files]
    assert len(names) > 20
    assert [name for name in names if f"`{name}`" not in GUIDE] == []


def test_the_guide_runs_or_quotes_every_block() -> None:
    """A block in a language that nobody runs would be true by luck."""
    assert {language for language, _ in BLOCK.findall(QUOTE.sub("", GUIDE))} == {"sh"}
    assert len(QUOTES) > 15
