"""The server: ``serve`` blocks, for the command line; ``running_server`` runs in a thread, for tests."""

from emulator.server.listeners import AddressInUse, AddressUnusable
from emulator.server.serving import Listening, running_server, serve

__all__ = ["AddressInUse", "AddressUnusable", "Listening", "running_server", "serve"]
