"""Init hooks: scenario files and scripts in a folder. The emulator loads or runs them when it starts."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from emulator.world.world import World

INTERPRETERS: Mapping[str, tuple[str, ...]] = {".sh": ("sh",), ".py": (sys.executable,)}
OUTPUT_BYTES = 2000
"""Number of bytes that the error message quotes from the end of a failed script's output."""


class InitFailed(Exception):
    """An init hook failed. The hooks after it did not run."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"the init hook {self.path} failed; correct it and start again: {self.reason}"


class Scripts:
    """Runs scripts, each in its own process group, and ends the processes that the scripts leave running."""

    def __init__(self) -> None:
        self._left: set[int] = set()

    async def run(self, path: Path, base_url: str) -> None:
        """Run a script and wait until it exits.

        Raises
        ------
        InitFailed
            If the exit status of the script is not 0. In this case, its process group is killed.
        """
        # A pipe would stay open until all processes that the script has started have ended.
        with tempfile.TemporaryFile() as output:
            starting = asyncio.create_task(
                asyncio.create_subprocess_exec(
                    *INTERPRETERS[path.suffix],
                    str(path),
                    env={**os.environ, "FACE_EMULATOR_URL": base_url},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,
                )
            )
            try:
                process = await asyncio.shield(starting)
                status = await process.wait()
            except asyncio.CancelledError:
                # The script can already run, and have child processes, before its process id is known here.
                process = await starting
                _signal(process.pid, signal.SIGKILL)
                await process.wait()
                raise
            if status != 0:
                _signal(process.pid, signal.SIGKILL)
                raise InitFailed(path, f"exit status {status}: {_tail_of(output)}")
        # Remember only groups that still have processes, because the id of an empty group may be reused.
        if _signal(process.pid, 0):
            self._left.add(process.pid)

    def end(self) -> None:
        """Send SIGTERM to the process groups that are still running."""
        while self._left:
            _signal(self._left.pop(), signal.SIGTERM)


async def run_init_hooks(folder: Path, world: World, base_url: str, scripts: Scripts) -> list[Path]:
    """Run the hooks in a folder one at a time, sorted by name, and return their paths.

    Scenarios are loaded for all credentials. Scripts get the emulator's URL in ``FACE_EMULATOR_URL``. They
    can call the emulator, although it is not ready yet. Other files in the folder are ignored.

    Raises
    ------
    InitFailed
        If the folder does not exist or a hook fails.
    """
    # A start without hooks does not need the code for scenarios.
    from emulator.control.scenario import load_scenario  # noqa: PLC0415 - on demand, see above
    from emulator.control.scenario_files import read_scenario  # noqa: PLC0415 - on demand, see above

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
    from emulator.control.scenario_files import SUFFIXES  # noqa: PLC0415 - on demand, see `run_init_hooks`

    return sorted(path for path in folder.iterdir() if path.suffix in {*SUFFIXES, *INTERPRETERS})


def _signal(group: int, number: int) -> bool:
    """Send a signal to a process group, and return whether the group exists. Signal 0 has no effect."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _tail_of(output: BinaryIO) -> str:
    end = output.seek(0, os.SEEK_END)
    output.seek(max(0, end - OUTPUT_BYTES))
    return output.read().decode(errors="replace").strip()
