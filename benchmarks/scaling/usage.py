"""The processor time that processes have used."""

from __future__ import annotations

from collections.abc import Sequence

import psutil


def cpu_seconds(roots: Sequence[psutil.Process]) -> float:
    """Return the processor time of processes and of all their child processes, in seconds."""
    total = 0.0
    for root in roots:
        for process in (root, *root.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue  # it has ended, so its time is included in ``children_user`` of its parent
            total += times.user + times.system + times.children_user + times.children_system
    return total
