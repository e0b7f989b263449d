"""Receive Perfect Corp's webhooks: ``python perfectcorp_webhooks.py [PORT] [FOLDER]``.

Writes the result of each task that succeeds to ``<task id>.jpg``. Needs Python 3.10 and requests.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

BASE_URL = os.environ.get("PERFECTCORP_URL", "https://yce-api-01.makeupar.com")
KEY = os.environ.get("PERFECTCORP_KEY", "")
SECRET = os.environ.get("PERFECTCORP_WEBHOOK_SECRET", "")
"""Secret of the endpoint, such as ``whsec_NDQz...``."""

TIMEOUT = (3, 10)
"""Seconds to wait for a connection, and for the response. Perfect Corp waits for ours, so they are few."""

TOLERANCE_SECONDS = 300
"""Largest age of a message. An older one could be a copy that somebody recorded."""

MOST_BYTES = 65536


class WrongSignature(Exception):
    """The message is not from Perfect Corp, or it is too old."""


def verify(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return the content of a message, as Standard Webhooks defines it.

    Raises
    ------
    WrongSignature
        If the signature or the timestamp is wrong.
    """
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        raise WrongSignature("the timestamp is missing, or too far from now")
    key = base64.b64decode(SECRET.removeprefix("whsec_") + "==")  # the secret has no padding
    digest = hmac.new(key, f"{identifier}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(digest)
    # While a secret is replaced, a message has several signatures.
    signatures = headers.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(expected, signature.encode()) for signature in signatures):
        raise WrongSignature("no signature matches")
    return json.loads(body)


def save_result(task_id: str, folder: Path) -> str:
    """Download the result of a finished task, and return what happened."""
    path = folder / f"{task_id}.jpg"
    if path.exists():
        return "already saved"  # Perfect Corp has sent the message twice
    response = requests.get(
        f"{BASE_URL}/s2s/v2.0/task/face-reshape/{task_id}",
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=TIMEOUT,
    )
    response.raise_for_status()
    task = response.json()["data"]
    if task["task_status"] == "error":
        return f"failed: {task['error']}"
    if task["task_status"] != "success":
        raise LookupError(f"the task {task_id} is not finished")
    picture = requests.get(task["results"]["url"], timeout=TIMEOUT)
    picture.raise_for_status()
    path.write_bytes(picture.content)
    return f"saved as {path}"


class Receiver(BaseHTTPRequestHandler):
    """The endpoint."""

    folder = Path()

    def do_POST(self) -> None:
        """Receive one message. Any status but 2xx makes Perfect Corp send it again later."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.send_error(413)
            return
        try:
            task_id = verify(self.headers, self.rfile.read(int(length)))["data"]["task_id"]
            print(f"{task_id}: {save_result(task_id, self.folder)}", flush=True)
        except WrongSignature as refusal:
            print(f"refused: {refusal}", file=sys.stderr)
            self.send_error(401)
        except (OSError, ValueError, LookupError) as error:  # requests raises OSErrors and ValueErrors
            print(f"error: {error}", file=sys.stderr)
            self.send_error(500)
        else:
            self.send_response(204)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do not log each request."""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Receive Perfect Corp's webhooks.")
    parser.add_argument("port", type=int, nargs="?", default=9000)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="where to write the results")
    arguments = parser.parse_args()
    if not KEY or not SECRET:
        parser.error("set the environment variables PERFECTCORP_KEY and PERFECTCORP_WEBHOOK_SECRET")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    Receiver.folder = arguments.folder
    with ThreadingHTTPServer(("127.0.0.1", arguments.port), Receiver) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
