"""A byte in memory that the server and a worker process share: whether the worker has begun its order.

A message would wake the server once more for each order.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Sequence

if sys.platform == "win32":
    import secrets

    def share_byte() -> tuple[mmap.mmap, int]:
        """Return a new byte, which is 0, and its handle for the worker."""
        handle = secrets.randbits(63)
        return open_byte(handle), handle

    def inherited(_handle: int) -> Sequence[int]:
        """Return the file descriptors that the worker must inherit."""
        return ()

    def open_byte(handle: int) -> mmap.mmap:
        """Return the byte with a handle."""
        return mmap.mmap(-1, 1, tagname=f"face-emulator-{handle:x}")

else:
    if sys.platform != "linux":
        import tempfile

    def share_byte() -> tuple[mmap.mmap, int]:
        """Return a new byte, which is 0, and its handle for the worker: the descriptor of an unnamed file."""
        if sys.platform == "linux":
            # In memory, because no folder may be writable.
            handle = os.memfd_create("begun")
        else:
            with tempfile.TemporaryFile() as file:
                handle = os.dup(file.fileno())
        os.ftruncate(handle, 1)
        return mmap.mmap(handle, 1), handle

    def inherited(handle: int) -> Sequence[int]:
        """Return the file descriptors that the worker must inherit."""
        return (handle,)

    def open_byte(handle: int) -> mmap.mmap:
        """Return the byte with a handle, and close the handle."""
        try:
            return mmap.mmap(handle, 1)
        finally:
            os.close(handle)
