"""Functions that write Markdown tables and code spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Bars in a cell are escaped, and line breaks become spaces."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def code(text: object) -> str:
    """Return a code span."""
    return f"`{text}`"


def codes(names: Iterable[object], last: str = "or") -> str:
    """Return code spans as a list in a sentence: ``a``, ``b`` or ``c``."""
    spans = [code(name) for name in names]
    return spans[0] if len(spans) == 1 else f"{', '.join(spans[:-1])} {last} {spans[-1]}"


def _cell(text: str) -> str:
    # Docstrings mark code with two backticks, as reStructuredText does.
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())
