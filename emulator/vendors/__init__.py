"""The emulated vendors, one package each, which the emulator discovers."""
