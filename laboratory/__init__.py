"""What made and measures the face core's data: commands for developers, which the product never imports."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parent.parent / "emulator" / "face" / "data"
"""Where the data files lie that the commands here write."""
