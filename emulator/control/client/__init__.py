"""The control API from Python, for tests and scripts."""

from __future__ import annotations

from emulator.control.client.caller import ControlError as ControlError
from emulator.control.client.clock import Clock
from emulator.control.client.faults import Faults
from emulator.control.client.journal import Journal
from emulator.control.client.tasks import Tasks
from emulator.control.client.webhooks import Webhooks
from emulator.control.client.world import World


class Client(World, Clock, Faults, Tasks, Journal, Webhooks):
    """All of the control API of a running emulator.

    Parameters
    ----------
    base_url : str
        Of the emulator, or of its control port.
    credential : str or None
        Credential to see and to act on; None for all, and to set the default.
    transport : httpx.BaseTransport or None
        For an emulator that is not behind a socket.
    """
