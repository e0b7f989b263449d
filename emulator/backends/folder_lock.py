"""The lock of a data folder, so that only one emulator uses the folder."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from emulator.backends.private import make_private_folder, open_private
from emulator.backends.records.protocol import StoreUnreadable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = "lock"
"""Name of the locked file."""


@contextlib.contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Lock ``folder`` while the context is open. The operating system unlocks it if the process dies.

    Raises
    ------
    StoreUnreadable
        If another emulator uses the folder.
    """
    make_private_folder(folder)
    with open_private(folder / LOCK) as file:
        try:
            if sys.platform == "win32":
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreUnreadable(str(folder), "another emulator uses it") from error
        yield
