"""The face core that a worker keeps warm."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from emulator.face.detection import FaceDetector, MediaPipeDetector

_per_thread = threading.local()


def detector() -> FaceDetector:
    """Return this thread's detector, made at its first call: MediaPipe's graphs serve one thread each."""
    if not hasattr(_per_thread, "detector"):
        _per_thread.detector = MediaPipeDetector()
    found: FaceDetector = _per_thread.detector
    return found


def sample_photo() -> bytes:
    """Return a JPEG of one person from the front, nobody's: drawn by ``emulator.face.synthetic``."""
    return files("emulator.pipelines").joinpath("data/sample.jpg").read_bytes()


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Keep native libraries from writing to the terminal, in a process that is all ours.

    MediaPipe's graphs greet every start with warnings about themselves, before any of its settings
    for logging are read. They write to the file descriptor, which belongs to the whole process.
    """
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
