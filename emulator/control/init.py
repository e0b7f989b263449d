"""Init hooks: a folder of scenarios and scripts that make an emulator what a team wants it to be."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from emulator.control.scenario import SUFFIXES, load_scenario, read_scenario
from emulator.web.services import Services

INTERPRETERS: Mapping[str, tuple[str, ...]] = {".sh": ("sh",), ".py": (sys.executable,)}
SAID_CHARACTERS = 2000
"""What of a failed script's output is told."""


class InitFailed(Exception):
    """A hook failed; those behind it did not run."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"the init hook {self.path} failed: {self.reason}"


async def run_init_hooks(folder: Path, services: Services, base_url: str) -> list[Path]:
    """Return the hooks of a folder, run one after the other in the order of their names.

    Scenario files are loaded for everybody. Scripts get the emulator's URL as ``FACE_EMULATOR_URL``;
    it answers already, and is not ready. Other files are left alone.

    Raises
    ------
    InitFailed
        If the folder is not there or a hook fails.
    """
    try:
        hooks = _hooks_in(folder)
    except OSError as error:
        raise InitFailed(folder, str(error)) from error
    for path in hooks:
        if path.suffix in INTERPRETERS:
            await _run(path, base_url)
            continue
        try:
            await load_scenario(services, read_scenario(path))
        except Exception as error:
            raise InitFailed(path, str(error)) from error
    return hooks


def _hooks_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in {*SUFFIXES, *INTERPRETERS})


async def _run(path: Path, base_url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *INTERPRETERS[path.suffix],
        str(path),
        env={**os.environ, "FACE_EMULATOR_URL": base_url},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        tail = said.decode(errors="replace").strip()[-SAID_CHARACTERS:]
        raise InitFailed(path, f"exit status {process.returncode}: {tail}")
