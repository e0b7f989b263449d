"""What a server's process loads before it has any work."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOR_WORKERS = {"cv2", "mediapipe", "pillow_heif", "PIL", "scipy"}
FOR_DOWNLOADS = {"httpx", "rich"}


def loaded_by(module: str) -> set[str]:
    """Return the modules, by their first names, that a fresh interpreter has after an import."""
    program = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_a_server_loads_nothing_that_only_workers_and_downloads_need() -> None:
    loaded = loaded_by("emulator.app")
    assert {"fastapi", "numpy"} <= loaded
    assert loaded & (FOR_WORKERS | FOR_DOWNLOADS) == set()


@pytest.mark.parametrize("module", ["detect", "reconstruct", "reshape", "rules", "warm_up"])
def test_what_a_server_forwards_loads_without_the_face_core(module: str) -> None:
    assert loaded_by(f"emulator.pipelines.{module}") & FOR_WORKERS == set()
