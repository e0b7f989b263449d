"""Temporary folders of servers: their names, and the removal of folders that killed servers left."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from emulator.backends.folder_lock import LOCK, sole_user
from emulator.backends.records.protocol import StoreUnreadable

PREFIX = "face-emulator-"

NAME = re.compile(rf"{PREFIX}([0-9]{{1,9}})-\w+")
"""The name of a temporary folder. The number is the id of the process that made it."""


THREAD = "face-emulator-leftovers"
"""Name of the thread that removes folders."""


def make_temporary_folder() -> Path:
    """Make a temporary folder for this process."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))


def remove_leftovers() -> None:
    """Remove the temporary folders of this user that no process uses.

    A folder is in use if the process that made it is alive, or if it is locked. The id alone is not enough,
    because a container that shares the folder of temporary files has its own process ids. The lock alone is
    not enough, because a server makes the folder before it locks it.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        found = NAME.fullmatch(folder.name)
        with contextlib.suppress(OSError, StoreUnreadable):
            if found is None or folder.is_symlink() or not _is_own(folder) or _is_alive(int(found[1])):
                continue
            if (folder / LOCK).exists():
                with sole_user(folder):
                    pass
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers_later() -> None:
    """Remove the folders in a thread, because they can be large. The program does not wait for it."""
    threading.Thread(target=remove_leftovers, name=THREAD, daemon=True).start()


def _is_own(folder: Path) -> bool:
    return sys.platform == "win32" or folder.stat().st_uid == os.getuid()


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":
        # ``os.kill`` would end the process.
        import psutil  # noqa: PLC0415 - only here

        return bool(psutil.pid_exists(process))
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's process
    return True
