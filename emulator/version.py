"""The version, as the installed package has it."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("face-api-emulator")
