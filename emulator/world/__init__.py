"""The emulator's state, which a tester controls and inspects. This package does not depend on vendors or HTTP."""
