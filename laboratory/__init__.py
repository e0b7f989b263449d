"""Developer commands that derive and measure the face core's data. The emulator never imports them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parent.parent / "emulator" / "face" / "data"
"""The folder of the data files that the commands write."""
