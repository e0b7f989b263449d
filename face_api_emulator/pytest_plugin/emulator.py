"""The client that a test uses for the emulator. Each test has its own credential, and so its own state."""

from __future__ import annotations

import os
from typing import Any

from face_api_emulator.client import Client
from face_api_emulator.client.models import Verdict
from face_api_emulator.client.variables import CREDENTIAL, variables_of


class FaceEmulator(Client):
    """The client of the control API for one test, limited to the credential of the test.

    Send ``credential`` as the key of every vendor: as `api_key` to Face++, as `token` to MetaHuman SDK and as
    the bearer token to Perfect Corp. The calls, tasks, faults, time, webhooks and costs of the test are then
    separate from those of other tests.

    Parameters
    ----------
    base_url : str
        URL of the emulator.
    credential : str
        Credential of the test.

    Attributes
    ----------
    unmet : list of Verdict
        Verifications that failed.
    """

    credential: str

    def __init__(self, base_url: str, credential: str) -> None:
        super().__init__(base_url, credential)
        self.unmet: list[Verdict] = []

    @property
    def headers(self) -> dict[str, str]:
        """Request headers with the credential, for APIs that read it from a header."""
        return {"Authorization": f"Bearer {self.credential}"}

    def environment(self) -> dict[str, str]:
        """Return environment variables that make a child process use the emulator.

        The variables are the same as those of ``face-emulator env``, but with the credential of the test.
        """
        variables = variables_of(self, self.base_url, os.environ)
        return {name: self.credential if value == CREDENTIAL else value for name, value in variables.items()}

    def verify(self, **wanted: Any) -> Verdict:
        """Check how many calls match, as ``Client.verify``. If the test fails, failed checks are printed."""
        verdict = super().verify(**wanted)
        if not verdict.ok:
            self.unmet.append(verdict)
        return verdict
