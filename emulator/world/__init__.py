"""The emulator's state, which a tester controls and inspects. It is independent of vendors and of HTTP."""
