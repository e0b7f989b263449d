"""Part of ``face-emulator demo``: count faces with Example Faces."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from emulator.web.demonstration import Step, checked


def demonstrate(client: httpx.Client, photo: bytes, folder: Path, step: Step) -> None:
    """Count the faces in a photo, and write the response into ``folder``."""
    with step("count") as made:
        headers = {"X-Example-Key": "demo"}
        answer = checked(client.post("/example/v1/count", headers=headers, content=photo))
        (folder / "example.json").write_text(json.dumps(answer))
        made("example.json")
