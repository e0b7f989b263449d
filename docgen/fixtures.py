"""Reference of the pytest plugin: its fixtures and options."""

from __future__ import annotations

import inspect
from typing import cast

import pytest

from docgen.markdown import code, table
from emulator import pytest_plugin


class _Parser:
    """A stand-in for pytest's parser that records the options that the plugin adds."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def getgroup(self, _name: str) -> _Parser:
        return self

    def addoption(self, name: str, **attributes: object) -> None:
        self.found.append((name, str(attributes["help"])))


def fixtures() -> str:
    """Return a table of the plugin's fixtures."""
    found = [
        (name, each)
        for name, each in vars(pytest_plugin).items()
        if type(each).__name__ == "FixtureFunctionDefinition"
    ]
    rows = []
    for name, each in found:
        doc = inspect.getdoc(each._get_wrapped_function()) or ""  # noqa: SLF001 - pytest has no public API for this
        rows.append((code(name), each._fixture_function_marker.scope, doc.partition("\n\n")[0]))  # noqa: SLF001 - as above
    return table(("fixture", "scope", "provides"), rows)


def options() -> str:
    """Return a table of the command-line options that the plugin adds to pytest."""
    parser = _Parser()
    pytest_plugin.pytest_addoption(cast("pytest.Parser", parser))
    return table(("option", "meaning"), [(code(name), text) for name, text in parser.found])
