"""Reconstruct a head from a photo with Face++: ``python faceplusplus.py PICTURE [FOLDER]``.

Writes ``face.obj``, ``face.mtl`` and ``tex.jpg``. Needs Python 3.10 and requests.
"""

from __future__ import annotations

import argparse
import base64
import os
import sys
import time
from pathlib import Path
from typing import Any

import requests

BASE_URL = os.environ.get("FACEPLUSPLUS_URL", "https://api-us.faceplusplus.com")
TIMEOUT = (10, 60)
"""Seconds to wait for a connection, and for the response."""

RETRIED = {"CONCURRENCY_LIMIT_EXCEEDED", "INTERNAL_ERROR"}
"""Errors after which Face++ accepts the same request later."""

RETRY_WAITS = (1, 2, 4, 8)
"""Seconds to wait before each retry."""

FILES = {"face.obj": "obj_file", "face.mtl": "mtl_file", "tex.jpg": "texture_img"}
"""Members of the response by file name. The OBJ refers to the MTL by this name, and the MTL to the JPEG."""


class ApiError(Exception):
    """Face++ refused the request."""


def reconstruct(picture: bytes, key: str, secret: str) -> dict[str, Any]:
    """Return the response to a request with one picture."""
    for wait in (*RETRY_WAITS, None):
        response = requests.post(
            f"{BASE_URL}/facepp/v1/3dface",
            data={"api_key": key, "api_secret": secret, "texture": "1", "mtl": "1"},
            files={"image_file_1": ("photo.jpg", picture, "image/jpeg")},
            timeout=TIMEOUT,
        )
        if response.ok:
            return response.json()
        message = message_of(response)
        if message not in RETRIED or wait is None:
            break
        time.sleep(wait)
    status = f"HTTP {response.status_code}"
    raise ApiError(f"{message} ({status})" if message else status)


def message_of(response: requests.Response) -> str | None:
    """Return the error message. Some errors, such as 413, are not JSON and have none."""
    try:
        return response.json()["error_message"]
    except (ValueError, LookupError, TypeError):
        return None


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Reconstruct a head from a photo with Face++.")
    parser.add_argument("picture", type=Path, help="JPEG file with one face")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="where to write the results")
    arguments = parser.parse_args()
    try:
        key, secret = os.environ["FACEPLUSPLUS_API_KEY"], os.environ["FACEPLUSPLUS_API_SECRET"]
    except KeyError as missing:
        parser.error(f"set the environment variable {missing.args[0]}")
    try:
        answer = reconstruct(arguments.picture.read_bytes(), key, secret)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for name, member in FILES.items():
            path = arguments.folder / name
            path.write_bytes(base64.b64decode(answer[member]))
            print(path)
    except (ApiError, OSError, ValueError) as error:  # requests raises OSErrors and ValueErrors
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
