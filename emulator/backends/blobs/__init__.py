"""Bytes by key: uploads, textures, results."""

from emulator.backends.blobs.protocol import BlobKey, Blobs

__all__ = ["BlobKey", "Blobs"]
