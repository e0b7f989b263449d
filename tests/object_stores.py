"""An S3 for tests: moto's server, in a thread."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Mapping

BUCKET = "blobs"

ACCESS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "no-secret",
    "AWS_REGION": "eu-central-1",
}
"""Variables that a client needs besides the endpoint. The server accepts every key."""


class S3Server:
    """An S3 with the bucket ``BUCKET``. It keeps its objects while it is stopped.

    Attributes
    ----------
    endpoint : str
        The URL of the server.
    """

    def __init__(self) -> None:
        self._port = 0
        self.start()
        self.endpoint = f"http://127.0.0.1:{self._port}"
        request = urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT")  # noqa: S310 - http
        urllib.request.urlopen(request).close()  # noqa: S310 - likewise

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of a client."""
        return {**ACCESS, "AWS_ENDPOINT_URL": self.endpoint}

    def start(self) -> None:
        """Listen on the same port as before."""
        # Its import takes a second.
        from moto.server import ThreadedMotoServer  # noqa: PLC0415 - see above

        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        """Refuse connections."""
        self._server.stop()
