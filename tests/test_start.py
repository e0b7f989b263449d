"""Modules that a server process imports before it has any work."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOR_PICTURES = {"cv2", "mediapipe", "numpy", "pi_heif", "PIL", "scipy"}
FOR_DOWNLOADS = {"httpx", "rich"}
FOR_SCENARIOS = {"yaml"}
FOR_TLS = {"cryptography"}
FOR_METRICS = {"prometheus_client"}


def loaded_by(program: str) -> set[str]:
    """Return the modules that a fresh interpreter has imported after a program."""
    program = f"{program}\nimport sys; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


WORKER = """
import emulator.emulation, emulator.server.working, emulator.settings
emulator.emulation.create_emulation(emulator.settings.Settings(), role="worker")
"""


@pytest.mark.parametrize(
    "program", ["import emulator.server.serving", "import emulator.app; emulator.app.create_app()", WORKER]
)
def test_a_server_does_not_import_what_its_first_response_does_not_need(program: str) -> None:
    """This holds after the import, and after ``create_app`` has found the vendors."""
    loaded = loaded_by(program)
    assert "fastapi" in loaded
    roots = {name.split(".")[0] for name in loaded}
    assert roots & (FOR_PICTURES | FOR_DOWNLOADS | FOR_SCENARIOS | FOR_TLS | FOR_METRICS) == set()
    assert [name for name in loaded if name.startswith("emulator.vendors.") and "operations" in name] == []
    assert {"emulator.control.router", "emulator.control.faults"} & loaded == set()
