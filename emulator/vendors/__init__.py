"""The emulated vendors. Each has a package in this folder, which the emulator finds by itself."""
