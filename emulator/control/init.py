"""Init hooks: a folder of scenarios and scripts that make an emulator what a team wants it to be."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from emulator.control.scenario import SUFFIXES, load_scenario, read_scenario
from emulator.world.world import World

INTERPRETERS: Mapping[str, tuple[str, ...]] = {".sh": ("sh",), ".py": (sys.executable,)}
SAID_BYTES = 2000
"""What of a failed script's output is told."""


class InitFailed(Exception):
    """A hook failed; those behind it did not run."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"the init hook {self.path} failed: {self.reason}"


class Scripts:
    """The scripts that were run, and what they have left running: each is a process group."""

    def __init__(self) -> None:
        self._left: set[int] = set()

    async def run(self, path: Path, base_url: str) -> None:
        """Run a script to its end.

        Raises
        ------
        InitFailed
            If it fails; then all that it has started is ended.
        """
        # Not a pipe: that would be open for as long as anything runs that the script has started.
        with tempfile.TemporaryFile() as said:
            process = await asyncio.create_subprocess_exec(
                *INTERPRETERS[path.suffix],
                str(path),
                env={**os.environ, "FACE_EMULATOR_URL": base_url},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = await process.wait()
            except asyncio.CancelledError:
                _signal(process.pid, signal.SIGKILL)
                await process.wait()
                raise
            if status != 0:
                _signal(process.pid, signal.SIGKILL)
                raise InitFailed(path, f"exit status {status}: {_tail_of(said)}")
        # Only if something is there: the number of an empty group may become somebody else's.
        if _signal(process.pid, 0):
            self._left.add(process.pid)

    def end(self) -> None:
        """End what they have left running."""
        while self._left:
            _signal(self._left.pop(), signal.SIGTERM)


async def run_init_hooks(folder: Path, world: World, base_url: str, scripts: Scripts) -> list[Path]:
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
            await scripts.run(path, base_url)
            continue
        try:
            await load_scenario(world, read_scenario(path))
        except Exception as error:
            raise InitFailed(path, str(error)) from error
    return hooks


def _hooks_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in {*SUFFIXES, *INTERPRETERS})


def _signal(group: int, number: int) -> bool:
    """Return whether there was anybody in a process group to get a signal; 0 is none."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _tail_of(said: BinaryIO) -> str:
    end = said.seek(0, os.SEEK_END)
    said.seek(max(0, end - SAID_BYTES))
    return said.read().decode(errors="replace").strip()
