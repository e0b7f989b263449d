"""The control API at ``/_emulator``."""
