"""The emulator's state, which a tester controls and inspects. The code is independent of vendors and HTTP."""
