"""The measured parts of ``docs/scaling.md``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"

_PART = re.compile(r"<!-- MEASURED (?P<name>\w+) -->\n.*?<!-- END OF (?P=name) -->", re.DOTALL)


def write(parts: Mapping[str, str]) -> None:
    """Replace the measured parts of the page."""

    def part(found: re.Match[str]) -> str:
        name = found["name"]
        return f"<!-- MEASURED {name} -->\n\n{parts[name]}\n\n<!-- END OF {name} -->"

    PAGE.write_text(_PART.sub(part, PAGE.read_text()))
