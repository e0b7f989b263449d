"""Fixtures for the tests of Example Faces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.server import Listening
from face_api_emulator.client import Client


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    """A client of the control API, for the key that the tests send."""
    with Client(server.base_url, "sk-example") as control:
        yield control
        control.reset()
