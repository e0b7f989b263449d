from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from emulator.server import Listening


def test_a_connection_without_a_request_stays_for_longer_than_a_client_pauses(server: Listening) -> None:
    """Many pools keep connections for minutes; a server that closes them after 5 s breaks calls by chance."""
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=30)
    connection.request("GET", "/_emulator/health")
    connection.getresponse().read()
    kept = connection.sock
    assert kept is not None
    kept.settimeout(6)
    # Nothing comes, not even the end.
    with pytest.raises(TimeoutError):
        kept.recv(1)
    connection.request("GET", "/_emulator/health")
    assert connection.getresponse().status == 200
    assert connection.sock is kept
    connection.close()
