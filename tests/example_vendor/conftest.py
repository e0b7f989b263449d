"""What the tests of Example Faces share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.control import Client
from emulator.server import Listening


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    """The control of the key that all calls are made with."""
    with Client(server.base_url, "sk-example") as control:
        yield control
        control.reset()
