"""The table of packages in ``docs/architecture.md``."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_every_package_has_a_row() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    packages = {
        str(path.parent.relative_to(ROOT))
        for top in ("emulator", "face_api_emulator")
        for path in ROOT.glob(f"{top}/*/__init__.py")
    }
    assert packages <= set(rows)
    assert len(rows) == len(set(rows))
    assert [row for row in rows if not (ROOT / row).exists()] == []
