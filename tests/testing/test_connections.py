from __future__ import annotations

import gc
import http.client
import weakref

import pytest
from redirect_peers import NAME, Peer

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def test_connections_of_a_redirect_can_be_collected(emulator: Peer) -> None:
    with emulator.redirected():
        connection = http.client.HTTPSConnection(NAME, timeout=20)
        connection.connect()
        closed = weakref.ref(connection.sock)
        connection.close()
        gc.collect()
        assert closed() is None
