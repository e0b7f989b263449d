"""Rows of the table, and its output."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


def say(text: str = "") -> None:
    """Print a line."""
    print(text, flush=True)  # noqa: T201 - a table is the purpose


def rounded(value: float) -> str:
    """Return a number with three digits, such as 0.123, 12.3 and 12,300."""
    text = f"{value:.3g}"
    return text if "e" not in text else f"{float(text):,.0f}"


@dataclass
class Row:
    """One measurement, and what it is compared with.

    Attributes
    ----------
    name : str
    values : sequence of float
        One value per round, in ``unit``.
    unit : str
    floor : str
        Name of the floor or peer; empty for none.
    floor_values : sequence of float
        The values of the floor, from the same rounds.
    aim : str
        The wanted ratio; empty for none.
    """

    name: str
    values: Sequence[float]
    unit: str
    floor: str = ""
    floor_values: Sequence[float] = ()
    aim: str = ""

    @property
    def ratio(self) -> float | None:
        """Median of the ratios to the floor, round by round."""
        if not self.floor_values:
            return None
        pairs = zip(self.values, self.floor_values, strict=True)
        return statistics.median(value / floor for value, floor in pairs)

    def __str__(self) -> str:
        middle = statistics.median(self.values)
        spread = f"{min(self.values):.4g} to {max(self.values):.4g}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} x {self.floor}"
        return f"{self.name:<46} {middle:>9.4g} {self.unit:<4} {spread:<18} {ratio:<34} {self.aim}"


@dataclass
class Report:
    """The rows of a run, the notes, and the machine."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """The machine, as one line."""
        of = self.machine
        return f"{of['processor']}, {of['cores']} cores, Python {of['python']}; load {of['load']:.2f}"

    def median(self, name: str) -> float | None:
        """Return the median of the row ``name``, or None if it was not measured."""
        return next((statistics.median(row.values) for row in self.rows if row.name == name), None)

    def markdown(self) -> str:
        """Return the rows as a table for the documentation."""
        lines = ["| what | median | lowest to highest | ratio |", "| --- | --- | --- | --- |"]
        for row in self.rows:
            middle, low, high = (f(row.values) for f in (statistics.median, min, max))
            spread = f"{rounded(low)} to {rounded(high)}" if len(row.values) > 1 else ""
            ratio = "" if row.ratio is None else f"{row.ratio:.2f} x {row.floor}"
            lines.append(f"| {row.name} | {rounded(middle)} {row.unit} | {spread} | {ratio} |")
        return "\n".join(lines)

    def add(self, row: Row) -> None:
        """Add and print a row."""
        self.rows.append(row)
        say(str(row))

    def note(self, text: str) -> None:
        """Add and print a note, such as a peer that was left out."""
        self.notes.append(text)
        say(f"  ({text})")

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        rows = [{**asdict(row), "ratio": row.ratio} for row in self.rows]
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"machine": self.machine, "rows": rows, "notes": self.notes}
        path.write_text(json.dumps(document, indent=1) + "\n")
