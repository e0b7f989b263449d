"""The emulated vendors. The emulator finds all packages in this folder by itself; each is one vendor."""
