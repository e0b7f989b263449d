"""Whether this environment has the emulator, or only its client."""

from __future__ import annotations

import importlib.util

SERVER_PACKAGES = ("fastapi", "mediapipe")
"""Packages that only the extra ``server`` installs."""


def has_server() -> bool:
    """Return whether this environment has the emulator, and not only its client."""
    return all(importlib.util.find_spec(name) is not None for name in SERVER_PACKAGES)
