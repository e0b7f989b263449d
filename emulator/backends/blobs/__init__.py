"""Bytes that are looked up by key: uploads, textures, results."""

from emulator.backends.blobs.protocol import Blobs

__all__ = ["Blobs"]
