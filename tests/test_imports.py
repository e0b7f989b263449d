"""The packages that the client half may import."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import face_api_emulator

ROOT = Path(face_api_emulator.__file__).parent
THIRD_PARTY = {"client": {"cattrs", "urllib3"}, "pytest_plugin": {"pytest"}}
"""Packages outside the standard library, by the part that may import them. Other parts may import none."""


def imported(path: Path) -> Iterator[str]:
    """Yield the names of the packages that a file imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path} has a relative import"
            yield node.module.partition(".")[0]


def test_each_part_of_the_client_half_imports_only_its_own_packages() -> None:
    allowed = sys.stdlib_module_names | {"face_api_emulator"}
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        others = set(imported(path)) - allowed
        if others:
            found.setdefault(path.relative_to(ROOT).parts[0], set()).update(others)
    assert found == THIRD_PARTY
