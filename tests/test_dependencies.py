"""The packages that the emulator imports are installed with it, and not only for its development."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name
from test_licences import runtime_distributions

ROOT = Path(__file__).parent.parent

NOT_NEEDED = {"_typeshed", "pluggy", "pytest"}
"""Only for type checkers, and for the pytest plugin, which runs only where pytest is installed."""

PATCHED = {"aiohttp", "httpx2", "niquests", "requests", "urllib3", "uvloop"}
"""Clients that `face_api_emulator.testing` redirects, if a project has them."""


def imported(folder: str) -> Iterator[tuple[str, Path]]:
    """Yield the top-level names that the modules of a folder import, each with the module."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            yield from ((name.partition(".")[0], path) for name in names)


def test_every_imported_package_is_installed_with_the_emulator() -> None:
    installed = {canonicalize_name(each.name) for each in runtime_distributions()}
    providers = metadata.packages_distributions()
    own = {"emulator", "face_api_emulator", *sys.stdlib_module_names}
    missing = {
        (name, str(path.relative_to(ROOT)))
        for folder in ("emulator", "face_api_emulator")
        for name, path in imported(folder)
        if name not in own | NOT_NEEDED | PATCHED
        and installed.isdisjoint(canonicalize_name(each) for each in providers.get(name, ()))
    }
    assert missing == set()
