"""A webhook receiver for tests, which checks the signature of every message."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_SECONDS = 10.0
"""Default number of real seconds to wait for webhooks."""

LOOPBACK = ("127.0.0.1", "localhost")

SECRET_PREFIX = "whsec_"  # noqa: S105 - public: it marks a signing secret of Standard Webhooks


@dataclass(frozen=True)
class Webhook:
    """A webhook that was received.

    Attributes
    ----------
    headers : dict
        Request headers, with names in lower case.
    body : bytes
        Request body.
    is_signed : bool
        Whether the signature is valid.
    """

    headers: dict[str, str]
    body: bytes
    is_signed: bool

    @property
    def id(self) -> str:
        """Id of the message, the same in all attempts; ``without id`` if the header is missing."""
        return self.headers.get("webhook-id", "without id")

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class WebhookSink:
    """A receiver that records webhooks and verifies their signatures.

    It responds with the status 200, or with the next of the statuses that were passed to ``answer``.

    Parameters
    ----------
    host : str
        Host name that the emulator uses for the receiver. If it is not a loopback name, the receiver listens
        on all interfaces.

    Attributes
    ----------
    url : str
        URL of the receiver.
    received : list of Webhook
        All webhooks so far, including those that got an error as the response.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.received: list[Webhook] = []
        self._answers: list[int] = []
        self._secret = b""
        self._arrived = threading.Condition()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = sink._take({name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Do not print the requests."""

        # With another host name, the emulator runs elsewhere, such as in a container, and cannot reach the
        # loopback interface of this machine.
        address = host if host in LOOPBACK else ""
        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def trust(self, secret: str) -> None:
        """Set the secret of the signatures, in the form ``whsec_...``."""
        encoded = secret.removeprefix(SECRET_PREFIX)
        self._secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4))

    def answer(self, *statuses: int) -> None:
        """Respond to the next webhooks with these statuses."""
        with self._arrived:
            self._answers += statuses

    def wait(
        self,
        count: int = 1,
        timeout_s: float = WAIT_SECONDS,
        *,
        accept: Callable[[Webhook], bool] = lambda _: True,
    ) -> list[Webhook]:
        """Wait until ``accept`` is true for ``count`` webhooks, and return all webhooks for which it is true.

        Raises
        ------
        AssertionError
            If too few webhooks arrive within ``timeout_s`` real seconds, or one of them has an invalid
            signature.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: len(list(filter(accept, self.received))) >= count, timeout_s)
            found = list(filter(accept, self.received))
        if len(found) < count:
            raise AssertionError(
                f"{len(found)} of {count} webhooks arrived within {timeout_s:g} s: {_list(self.received)}"
            )
        forged = [each.id for each in found if not each.is_signed]
        if forged:
            raise AssertionError(f"the signatures of these webhooks are invalid: {', '.join(forged)}")
        return found

    def close(self) -> None:
        """Stop the receiver."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        with self._arrived:
            self.received.append(Webhook(headers, body, self._is_signed(headers, body)))
            self._arrived.notify_all()
            return self._answers.pop(0) if self._answers else 200

    def _is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        """Return whether the header ``webhook-signature`` has a valid signature of Standard Webhooks."""
        signed = f"{headers.get('webhook-id')}.{headers.get('webhook-timestamp')}.".encode() + body
        digest = base64.b64encode(hmac.digest(self._secret, signed, hashlib.sha256)).decode()
        given = headers.get("webhook-signature", "").split()
        return any(hmac.compare_digest(each, f"v1,{digest}") for each in given)


def _list(webhooks: Sequence[Webhook]) -> str:
    return ", ".join(each.id for each in webhooks) or "none"
