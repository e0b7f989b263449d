from __future__ import annotations

import socket

import pytest
from redirect_peers import Peer

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def test_a_patch_of_somebody_else_is_left_alone(emulator: Peer) -> None:
    """It calls ours, which then only calls the original."""
    original = socket.gethostbyname
    try:
        with emulator.redirected():
            ours = socket.gethostbyname

            def theirs(name: str) -> str:
                return ours(name)

            socket.gethostbyname = theirs
        assert socket.gethostbyname is theirs
        assert theirs("127.0.0.1") == "127.0.0.1"
    finally:
        socket.gethostbyname = original
