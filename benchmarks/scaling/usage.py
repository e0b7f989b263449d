"""The processor time that processes have used."""

from __future__ import annotations

from collections.abc import Sequence

import psutil


def cpu_seconds(roots: Sequence[psutil.Process]) -> float:
    """Return the processor time of processes, and of those that they started, in seconds."""
    total = 0.0
    for root in roots:
        for process in (root, *root.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue  # its time is now part of that of its parent's ended children
            total += times.user + times.system + times.children_user + times.children_system
    return total
