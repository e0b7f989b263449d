"""How an answer that never ends by itself hears that the server stops."""

from __future__ import annotations

ENDINGS = "face_emulator.endings"
"""The extension of the ASGI scope: ``add`` takes a function to be called when the server begins to stop."""
