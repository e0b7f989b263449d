"""Comparison of a real service with the emulator, by means of stored requests, the golden samples."""
