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
        Credential that the methods act on. With None, methods for a setting, such as the clock, act on the
        default, which applies to every credential without its own setting. Other methods then act on all
        credentials.
    transport : httpx.BaseTransport or None
        httpx transport to use instead of the network, for example for an emulator in the same process.
    """
