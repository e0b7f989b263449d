"""Shared objects of the pipelines."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from emulator.face.detection import FaceDetector, MediaPipeDetector

_per_thread = threading.local()


def detector() -> FaceDetector:
    """Return the detector of this thread. MediaPipe's graphs cannot be shared between threads."""
    if not hasattr(_per_thread, "detector"):
        _per_thread.detector = MediaPipeDetector()
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
