"""Reference of the pytest plugin: its fixtures, options, settings and the arguments of its mark."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import cast

import pytest

from docgen.markdown import code, table
from face_api_emulator import pytest_plugin
from face_api_emulator.pytest_plugin.marks import Conditions

_ATTRIBUTE = re.compile(r"^(\w+) : [^\n]*\n((?:    [^\n]*\n?)+)", re.MULTILINE)
"""An attribute in a docstring, and its description."""


class _Parser:
    """A stand-in for pytest's parser that records the options and settings that the plugin adds."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self.settings: list[tuple[str, str, str]] = []

    def getgroup(self, _name: str) -> _Parser:
        return self

    def addoption(self, name: str, **attributes: object) -> None:
        self.found.append((name, str(attributes["help"])))

    def addini(self, name: str, **attributes: object) -> None:
        self.settings.append((name, str(attributes["default"]), str(attributes["help"])))


def fixtures() -> str:
    """Return a table of the plugin's fixtures."""
    found = [
        (name, each)
        for name, each in vars(pytest_plugin).items()
        if type(each).__name__ == "FixtureFunctionDefinition" and not name.startswith("_")
    ]
    rows = []
    for name, each in found:
        doc = inspect.getdoc(each._get_wrapped_function()) or ""  # noqa: SLF001 - pytest has no public API for this
        rows.append((code(name), each._fixture_function_marker.scope, doc.partition("\n\n")[0]))  # noqa: SLF001 - as above
    return table(("fixture", "scope", "does"), rows)


def options() -> str:
    """Return a table of the command-line options that the plugin adds to pytest."""
    return table(("option", "meaning"), [(code(name), text) for name, text in _added().found])


def settings() -> str:
    """Return a table of the settings that the plugin adds to pytest's ini file."""
    rows = [(code(name), code(default), text) for name, default, text in _added().settings]
    return table(("setting", "default", "meaning"), rows)


def mark() -> str:
    """Return a table of the arguments of the mark."""
    doc = inspect.getdoc(Conditions) or ""
    described = dict(_ATTRIBUTE.findall(doc))
    rows = [
        (code(field.name), code(field.default), " ".join(described[field.name].split()))
        for field in fields(Conditions)
    ]
    return table(("argument", "default", "meaning"), rows)


def _added() -> _Parser:
    parser = _Parser()
    pytest_plugin.pytest_addoption(cast("pytest.Parser", parser))
    return parser
