"""Table of the metrics."""

from __future__ import annotations

from docgen.markdown import code, codes, table
from emulator.control.readings import METRICS


def metrics() -> str:
    """Return the table of the emulator's own metrics."""
    return table(
        ("metric", "type", "labels", "meaning"),
        (
            (code(each.name), each.kind, codes(each.labels, "and") if each.labels else "", each.text)
            for each in METRICS
        ),
    )
