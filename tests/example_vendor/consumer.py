"""A client of Example Faces and of Perfect Corp, which the tests of ``face-emulator explore`` run.

The arguments are a port and the names of vendors. The client receives webhooks on the port and checks
their signatures. It fails if the webhooks do not come from exactly these vendors. With the argument ``once``,
it also fails if it receives a webhook twice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

URL = os.environ["FACE_EMULATOR_URL"]
KEY = os.environ["FACE_EMULATOR_CREDENTIAL"]
SECRET = os.environ["FACE_EMULATOR_WEBHOOK_SECRET"]
PORT, EXPECTED = int(sys.argv[1]), set(sys.argv[2:]) - {"once"}
PATIENCE_SECONDS = 20

received: list[tuple[str, str]] = []
broken: list[str] = []


def call(path: str, body: object = None, **headers: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}{path}", data, {"Content-Type": "application/json", **headers})  # noqa: S310 - the emulator's own URL
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the emulator's own URL
        return json.load(answer)


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "x-example-signature" in self.headers:
            signed = f"{self.headers['x-example-time']}.".encode() + body
            digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
            if digest != self.headers["x-example-signature"]:
                broken.append("the signature is wrong")
            received.append(("example_vendor", self.headers["x-example-id"]))
        else:
            Webhook(SECRET).verify(body, dict(self.headers))
            received.append(("perfectcorp", self.headers["webhook-id"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def poll(path: str, **headers: str) -> None:
    """Poll a task until it has ended."""
    while True:
        answer = call(path, **headers)
        if answer.get("state", answer.get("data", {}).get("task_status")) not in {"working", "running"}:
            return
        time.sleep(0.02)


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mine = {"X-Example-Key": KEY}
    crop = call("/example/v1/crops", {"url": "http://127.0.0.1:9/me.jpg"}, **mine)
    theirs = {"Authorization": f"Bearer {KEY}", "X-Emulator-Fault": "error_no_face"}
    body = {"src_file_url": "http://127.0.0.1:9/", "version": "1.0", "features": {"jaw": 1}, "global": {}}
    task = call("/s2s/v2.0/task/face-reshape", body, **theirs)
    poll(f"/example/v1/crops/{crop['id']}", **mine)
    poll(f"/s2s/v2.0/task/face-reshape/{task['data']['task_id']}", **theirs)
    plan = call(f"/_emulator/webhooks/plan?credential={KEY}")["plan"]["webhooks"]
    deliveries = len(call(f"/_emulator/webhooks/deliveries?credential={KEY}"))
    due = deliveries * (1 if plan is None else len(plan))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(received) < due and not broken and time.monotonic() < deadline:
        time.sleep(0.01)
    if "once" in sys.argv and len(set(received)) < len(received):
        broken.append("a webhook came twice")
    if {vendor for vendor, _ in received} != (EXPECTED if due else set()):
        broken.append(f"these webhooks came: {received}")
    if broken:
        sys.exit("; ".join(broken))


if __name__ == "__main__":
    main()
