"""A server from which the emulator downloads pictures."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def pictures(face_jpeg: bytes) -> Iterator[str]:
    """The base URL of a server of pictures."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = {"/face.jpg": face_jpeg, "/heavy.jpg": face_jpeg + bytes(2 * 1024 * 1024)}.get(self.path)
            self.send_response(404 if data is None else 200)
            self.end_headers()
            # The emulator closes the connection when a picture is too large.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
