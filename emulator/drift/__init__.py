"""Golden samples, which are stored requests, and the comparison of a real service with the emulator."""
