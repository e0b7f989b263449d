"""Describe a head in a photo with MetaHuman SDK: ``python metahuman.py PICTURE [FOLDER]``.

Writes ``metahuman.json``, with 80 shape coefficients and the attributes, and ``texture.png``. Needs Python
3.10 and requests.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import urljoin

import requests

BASE_URL = os.environ.get("METAHUMAN_URL", "https://api.metahumansdk.io")
TIMEOUT = (10, 60)
"""Seconds to wait for a connection, and for the response."""


class ApiError(Exception):
    """MetaHuman SDK refused the request."""


def run_pipeline(picture: Path, token: str) -> requests.Response:
    """Return the response to a picture."""
    with picture.open("rb") as file:
        return checked(
            requests.post(
                f"{BASE_URL}/face_recon/run_pipeline",
                data={"token": token},
                files={"image_bytes": (picture.name, file)},
                timeout=TIMEOUT,
            )
        )


def checked(response: requests.Response) -> requests.Response:
    """Return the response if its status reports success."""
    if response.ok:
        return response
    try:
        error = response.json()["error"]
        reason = f"{error['message']} (code {error['code']}, HTTP {response.status_code})"
    except (ValueError, LookupError, TypeError):  # an error of a proxy, or of the form itself
        reason = f"HTTP {response.status_code}"
    raise ApiError(reason)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Describe a head in a photo with MetaHuman SDK.")
    parser.add_argument("picture", type=Path, help="JPEG, PNG or HEIC file")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="where to write the results")
    arguments = parser.parse_args()
    if "METAHUMAN_TOKEN" not in os.environ:
        parser.error("set the environment variable METAHUMAN_TOKEN")
    try:
        answer = run_pipeline(arguments.picture, os.environ["METAHUMAN_TOKEN"])
        # The response has only the path of the texture.
        url = urljoin(BASE_URL, answer.json()["result"]["face"]["textureUrl"])
        texture = checked(requests.get(url, timeout=TIMEOUT))
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("metahuman.json", answer.content), ("texture.png", texture.content)):
            path = arguments.folder / name
            path.write_bytes(content)
            print(path)
    except (ApiError, OSError, ValueError) as error:  # requests raises OSErrors and ValueErrors
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
