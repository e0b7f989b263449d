"""Python client of the control API, for tests and scripts."""

from __future__ import annotations

from emulator.client.clock import Clock
from emulator.client.connection import ControlError as ControlError
from emulator.client.connection import EmulatorUnreachable as EmulatorUnreachable
from emulator.client.faults import Faults
from emulator.client.journal import Journal
from emulator.client.tasks import Tasks
from emulator.client.webhooks import Webhooks
from emulator.client.world import World


class Client(World, Clock, Faults, Tasks, Journal, Webhooks):
    """Client of the control API of a running emulator.

    Parameters
    ----------
    base_url : str
        URL of the emulator, or of its control port.
    credential : str or None
        Credential that the methods act on. With None, they act on all credentials, or set the default.
    """
