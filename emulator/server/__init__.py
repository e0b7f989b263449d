"""The server.

The command line calls ``serve``, which runs until a signal. Tests use ``running_server``, which runs in a
thread.
"""

from emulator.server.listeners import AddressInUse, AddressUnusable
from emulator.server.serving import Listening, running_server, serve

__all__ = ["AddressInUse", "AddressUnusable", "Listening", "running_server", "serve"]
