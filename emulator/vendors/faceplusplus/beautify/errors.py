"""The errors of Beautify."""

from __future__ import annotations

from emulator.vendors.faceplusplus.errors import ARGUMENTS, GATEWAY

ERRORS = GATEWAY | ARGUMENTS
"""All errors. A photo that has no face or several faces does not cause an error."""
