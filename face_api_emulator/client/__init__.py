"""Python client of the control API, for tests and scripts."""

from __future__ import annotations

from face_api_emulator.client.clock import Clock
from face_api_emulator.client.connection import ControlError as ControlError
from face_api_emulator.client.connection import EmulatorUnreachable as EmulatorUnreachable
from face_api_emulator.client.faults import Faults
from face_api_emulator.client.journal import Journal
from face_api_emulator.client.tasks import Tasks
from face_api_emulator.client.webhooks import Webhooks
from face_api_emulator.client.world import World


class Client(World, Clock, Faults, Tasks, Journal, Webhooks):
    """Client of the control API of a running emulator.

    Parameters
    ----------
    base_url : str
        URL of the emulator, or of its control port.
    credential : str or None
        Credential that the methods act on. With None, they act on all credentials, or set the default.
    token : str or None
        Token of the control API. With None, the variable FACE_EMULATOR_CONTROL_TOKEN is used, if it is set.
    """
