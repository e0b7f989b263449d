"""Files that several processes read and write: a lock for their folder, and atomic replacement."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = "lock"

UNFINISHED = ".part"
"""Suffix of files that are not completely written."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of ``folder``. The operating system releases it if the process dies."""
    with (folder / LOCK).open("ab") as file:
        if sys.platform == "win32":
            # After ten seconds without the lock, this raises an OSError.
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file with ``mode``, so that readers see either the old content or the new one.

    Two processes must not replace the same file at the same time.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    unfinished.unlink(missing_ok=True)  # a killed process may have left this file, with another mode
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
