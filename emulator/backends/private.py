"""Files and folders that only their owner can read, because they contain keys and secrets of webhooks."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

FOLDER_MODE, FILE_MODE = 0o700, 0o600


def make_private_folder(folder: Path) -> None:
    """Create a folder with the mode 0700. The mode of an existing folder is not changed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def open_private(path: Path) -> IO[bytes]:
    """Open a file for appending. Set its mode to 0600, unless it belongs to another user."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, FILE_MODE)
    with contextlib.suppress(OSError):  # it belongs to another user
        path.chmod(FILE_MODE)
    return os.fdopen(handle, "ab")
