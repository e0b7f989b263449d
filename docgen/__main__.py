"""The command ``python -m docgen``, which writes the generated documentation and the client's models."""

from __future__ import annotations

import sys
from pathlib import Path

from docgen import models
from docgen.pages import ROOT, filled, pages


def main() -> None:
    """Write every generated file that is out of date, and print its name."""
    _write(models.FILE, models.models())
    for page in pages():
        _write(page, filled(page.read_text()))


def _write(file: Path, new: str) -> None:
    if not file.exists() or file.read_text() != new:
        file.write_text(new)
        sys.stdout.write(f"{file.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
