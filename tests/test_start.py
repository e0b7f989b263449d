"""Modules that a server process imports before it has any work."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOR_WORKERS = {"cv2", "mediapipe", "pillow_heif", "PIL", "scipy"}
FOR_DOWNLOADS = {"httpx", "rich"}


def loaded_by(program: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has imported after a program."""
    program = f"{program}; import sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("program", ["import emulator.app", "import emulator.app; emulator.app.create_app()"])
def test_a_server_does_not_import_what_only_workers_and_downloads_need(program: str) -> None:
    """Neither on import nor after ``create_app`` has loaded the vendors."""
    loaded = loaded_by(program)
    assert {"fastapi", "numpy"} <= loaded
    assert loaded & (FOR_WORKERS | FOR_DOWNLOADS) == set()
