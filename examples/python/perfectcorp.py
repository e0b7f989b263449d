"""Reshape the face in a photo with Perfect Corp: ``python perfectcorp.py PICTURE [FOLDER]``.

Writes ``reshaped.jpg``, or ``reshaped.png``. Needs Python 3.10 and requests.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

BASE_URL = os.environ.get("PERFECTCORP_URL", "https://yce-api-01.makeupar.com")
TASKS = "/s2s/v2.0/task/face-reshape"
FEATURES = {"eye_size": 60, "face_width": -50, "lip_size": 40}
"""What to change, from -100 to 100. Features that are not listed stay as they are."""

TIMEOUT = (10, 60)
"""Seconds to wait for a connection, and for the response."""

RETRY_WAITS = (1, 2, 4, 8)
"""Seconds to wait before each retry of a call that exceeded the rate limit."""

POLL_SECONDS = 1
DEADLINE_SECONDS = 120


class ApiError(Exception):
    """Perfect Corp refused a request, or a task failed."""


class PerfectCorp:
    """A client of the API."""

    def __init__(self, key: str) -> None:
        self._headers = {"Authorization": f"Bearer {key}"}

    def upload(self, picture: Path) -> str:
        """Register a picture, upload it, and return its file id."""
        content = picture.read_bytes()
        new = {
            "content_type": "image/png" if picture.suffix.lower() == ".png" else "image/jpg",
            "file_name": picture.name,
            "file_size": len(content),
        }
        file = self._call("POST", "/s2s/v2.0/file", {"files": [new]})["files"][0]
        request = file["requests"][0]
        # The URL is signed. With an Authorization header, the store would refuse the request.
        checked(
            requests.request(
                request["method"], request["url"], headers=request["headers"], data=content, timeout=TIMEOUT
            )
        )
        return file["file_id"]

    def reshape(self, file_id: str) -> str:
        """Start a task, and return its id."""
        body = {"version": "1.0", "src_file_id": file_id, "features": FEATURES, "global": {}}
        return self._call("POST", TASKS, body)["task_id"]

    def wait(self, task_id: str) -> str:
        """Poll a task until it is finished, and return the URL of its result."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            task = self._call("GET", f"{TASKS}/{task_id}")
            if task["task_status"] == "success":
                return task["results"]["url"]
            if task["task_status"] == "error":
                raise ApiError(": ".join(filter(None, [task["error"], task.get("error_message")])))
            time.sleep(POLL_SECONDS)
        raise ApiError(f"the task {task_id} still runs after {DEADLINE_SECONDS} seconds")

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Call the API, and return the member ``data`` of the response."""
        for wait in (*RETRY_WAITS, None):
            response = requests.request(
                method, BASE_URL + path, headers=self._headers, json=body, timeout=TIMEOUT
            )
            if response.status_code != requests.codes.too_many_requests or wait is None:
                break
            time.sleep(wait)
        return checked(response).json()["data"]


def checked(response: requests.Response) -> requests.Response:
    """Return the response if its status reports success."""
    if response.ok:
        return response
    try:
        reason = response.json()["error"]
    except (ValueError, LookupError, TypeError):  # the store's errors are XML
        found = re.search("<Message>(.*?)</Message>", response.text)
        reason = found[1] if found else None
    status = f"HTTP {response.status_code}"
    raise ApiError(f"{reason} ({status})" if reason else status)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Reshape the face in a photo with Perfect Corp.")
    parser.add_argument("picture", type=Path, help="JPEG or PNG file")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="where to write the result")
    arguments = parser.parse_args()
    if "PERFECTCORP_KEY" not in os.environ:
        parser.error("set the environment variable PERFECTCORP_KEY")
    try:
        client = PerfectCorp(os.environ["PERFECTCORP_KEY"])
        url = client.wait(client.reshape(client.upload(arguments.picture)))
        result = checked(requests.get(url, timeout=TIMEOUT))
        arguments.folder.mkdir(parents=True, exist_ok=True)
        path = arguments.folder / f"reshaped{Path(urlsplit(url).path).suffix}"
        path.write_bytes(result.content)
        print(path)
    except (ApiError, OSError, ValueError) as error:  # requests raises OSErrors and ValueErrors
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
