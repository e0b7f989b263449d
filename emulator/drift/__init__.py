"""Comparison of a real service with the emulator. Both get the same stored requests, the golden samples."""
