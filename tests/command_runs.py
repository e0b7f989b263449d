"""Runs of ``face-emulator`` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

COMMAND = (sys.executable, "-m", "emulator")


def face_emulator(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=_with(environment),
    )


def start_face_emulator(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a command, to send signals to it."""
    return subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_with(environment),
    )


def _with(environment: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "FACE_EMULATOR_WORKERS": "1", **environment}
