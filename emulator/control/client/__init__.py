"""Python client of the control API, for tests and scripts."""

from __future__ import annotations

from emulator.control.client.caller import ControlError as ControlError
from emulator.control.client.clock import Clock
from emulator.control.client.faults import Faults
from emulator.control.client.journal import Journal
from emulator.control.client.tasks import Tasks
from emulator.control.client.webhooks import Webhooks
from emulator.control.client.world import World


class Client(World, Clock, Faults, Tasks, Journal, Webhooks):
    """Client of the control API of a running emulator.

    Parameters
    ----------
    base_url : str
        URL of the emulator, or of its control port.
    credential : str or None
        Credential to act on; None for all credentials, and to set the default.
    transport : httpx.BaseTransport or None
        Replaces the connection, such as for an emulator without a socket.
    """
