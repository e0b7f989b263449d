"""Golden samples, and the comparison of a real service with the emulator."""
