"""Shared objects of the pipelines."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Final

from emulator.face.detection import FaceDetector, MediaPipeDetector
from emulator.parallel import has_second_thread, later

_per_thread = threading.local()

# Parameters of mallopt (malloc.h), and their values in bytes. glibc accepts no larger value for blocks.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 64 << 20
_LARGEST_BLOCK: Final = 32 << 20


def detector() -> FaceDetector:
    """Return the detector of this thread. MediaPipe's graphs cannot be shared between threads."""
    if not hasattr(_per_thread, "detector"):
        _per_thread.detector = MediaPipeDetector(later, has_second_thread)
    found: FaceDetector = _per_thread.detector
    return found


def sample_photo() -> bytes:
    """Return a JPEG of one synthetic face from the front, rendered by ``emulator.face.synthetic``."""
    return files("emulator.pipelines").joinpath("data/sample.jpg").read_bytes()


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Suppress the output of native libraries to stderr. For worker processes only.

    MediaPipe's graphs print warnings at startup, before MediaPipe reads its logging settings. The warnings
    are written to the file descriptor, so this function redirects the stderr of the whole process.
    """
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def keep_freed_memory() -> None:
    """Let this process keep up to `_KEPT_BYTES` of freed memory for the next picture. For workers only.

    By default, glibc returns the memory of a large array to Linux. Then Linux must clear each page of the
    next array, which takes a tenth of the time of a picture of 2048 pixels. This function does nothing with
    other C libraries.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
