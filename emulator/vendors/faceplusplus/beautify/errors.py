"""The errors of Beautify."""

from __future__ import annotations

from emulator.vendors.faceplusplus.errors import ARGUMENTS, GATEWAY

ERRORS = GATEWAY | ARGUMENTS
"""All errors. A photo without a face or with several faces causes none."""
