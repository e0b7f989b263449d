"""The number of files and connections that this process can open."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    import resource

UNLIMITED = 8192
"""Limit to use if the system has no limit, or a higher one."""


def open_files() -> int:
    """Return the largest number of files and connections that this process can have open."""
    if sys.platform == "win32":
        return UNLIMITED
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return UNLIMITED if limit == resource.RLIM_INFINITY else min(limit, UNLIMITED)
