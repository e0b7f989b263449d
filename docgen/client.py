"""Reference of the Python client, generated from the docstrings of its methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum

from docgen.markdown import code, table
from face_api_emulator.client import Client


def client() -> str:
    """Return a table of the client's methods, in the order of its base classes."""
    rows = []
    for part in Client.__bases__:
        for name, method in vars(part).items():
            if callable(method) and not name.startswith("_"):
                summary = (inspect.getdoc(method) or "").partition("\n\n")[0]
                rows.append((code(f"{name}({_parameters(method)})"), summary))
    return table(("method", "does"), rows)


def _parameters(method: Callable[..., object]) -> str:
    """Return the parameters of a method, without their types."""
    parts = []
    keyword_only = False
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            parts.append("*")
            keyword_only = True
        prefix = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is parameter.empty else f"={_shown(parameter.default)}"
        parts.append(f"{prefix}{parameter.name}{default}")
    return ", ".join(parts)


def _shown(default: object) -> str:
    return repr(str(default)) if isinstance(default, StrEnum) else repr(default)
