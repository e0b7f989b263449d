"""The console, a web page at ``/_emulator/console/`` that shows and controls the emulator.

Its sources are in the folder ``console`` of the repository. Its built files are in ``BUILT``, which is not
part of the repository.
"""

from __future__ import annotations

from pathlib import Path

BUILT = Path(__file__).parent / "built"

INDEX = "index.html"


def is_built() -> bool:
    """Return whether this installation contains the console."""
    return (BUILT / INDEX).is_file()
