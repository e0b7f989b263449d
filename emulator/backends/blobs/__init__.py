"""Storage for bytes, each under a key: uploads, textures, results."""

from emulator.backends.blobs.protocol import BlobKey, Blobs

__all__ = ["BlobKey", "Blobs"]
