"""A Perfect Corp client that uses polls and webhooks.

The tests of ``face-emulator explore`` run it as a command. Its argument names the mistake that it makes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

URL = os.environ["FACE_EMULATOR_URL"]
KEY = os.environ["FACE_EMULATOR_CREDENTIAL"]
TASK = f"{URL}/s2s/v2.0/task/face-reshape"
MISTAKE = sys.argv[1]
POLL_SECONDS = 0.05
TIMEOUT_SECONDS = 20

seen: set[str] = set()
polled: set[str] = set()
over = threading.Event()
broken: list[str] = []


def call(url: str, body: object = None) -> Any:
    # The fault makes the task fail at once, so that no worker has to compute anything.
    headers = {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "application/json",
        "X-Emulator-Fault": "error_no_face",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - the emulator's own URL
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - likewise
        return json.load(answer)


def status_of(task_id: str) -> str:
    return str(call(f"{TASK}/{task_id}")["data"]["task_status"])


def is_everything_delivered() -> bool:
    """Return whether all tasks are finished and no further webhook is due."""
    told = call(f"{URL}/_emulator/webhooks/plan?credential={KEY}")
    deliveries = call(f"{URL}/_emulator/webhooks/deliveries?credential={KEY}")
    tasks = call(f"{URL}/_emulator/tasks?credential={KEY}")
    if not all(task["state"] in {"succeeded", "failed"} for task in tasks):
        return False
    if told["plan"]["webhooks"] is None:
        return all(delivery["state"] == "delivered" for delivery in deliveries)
    sent = [step for task in told["tasks"] for step in task["steps"] if step.startswith("webhook_")]
    return len(sent) >= len(told["plan"]["webhooks"]) and "webhook_sent" not in sent


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        task_id, message_id = body["data"]["task_id"], self.headers["webhook-id"]
        if MISTAKE == "duplicates" and message_id in seen:
            broken.append(f"{message_id} came twice")
        if MISTAKE == "early" and task_id not in polled:
            broken.append(f"{task_id} was never polled")
        if MISTAKE == "looks-up" and status_of(task_id) == "running":
            broken.append(f"{task_id} still runs")
        seen.add(message_id)
        over.set()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = {"url": f"http://127.0.0.1:{server.server_address[1]}/"}
    if MISTAKE != "deaf":
        call(f"{URL}/_emulator/webhooks/endpoints?credential={KEY}", hook)
    body = {"src_file_url": "http://127.0.0.1:9/", "version": "1.0", "features": {"jaw": 1}, "global": {}}
    task_id = call(TASK, body)["data"]["task_id"]
    if MISTAKE != "waits":
        while not over.wait(POLL_SECONDS):
            if status_of(task_id) != "running":
                over.set()
            polled.add(task_id)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not is_everything_delivered():
        if time.monotonic() > deadline:
            sys.exit("tasks or webhooks are still outstanding")
        time.sleep(0.01)
    if not over.is_set():
        broken.append("neither a poll nor a webhook reported the end of the task")
    if broken:
        sys.exit("; ".join(broken))


if __name__ == "__main__":
    main()
