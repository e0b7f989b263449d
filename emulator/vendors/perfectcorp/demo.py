"""Part of ``face-emulator demo``: upload, pre-process and reshape a photo with Perfect Corp."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import ImageRules
from emulator.web.demonstration import POLL_SECONDS, TIMEOUT_SECONDS, DemoFailed, Step, checked

FEATURES = {"eye_size": 90, "face_width": -80, "chin_length": 40, "nose_wing": -70, "lip_size": 80}
"""Features that change a face visibly without distorting it."""

HEADERS = {"Authorization": "Bearer demo"}
JPEG = ImageRules(frozenset({"jpeg"}))


def demonstrate(client: httpx.Client, photo: bytes, folder: Path, step: Step) -> None:
    """Reshape a photo. Write the result, and a picture of the photo next to the result, into ``folder``."""
    with step("register, upload") as made:
        new = {"content_type": "image/jpeg", "file_name": "photo.jpg", "file_size": len(photo)}
        answer = checked(client.post("/s2s/v2.0/file", json={"files": [new]}, headers=HEADERS))
        file = answer["data"]["files"][0]
        upload = file["requests"][0]
        client.put(upload["url"], headers=upload["headers"], content=photo).raise_for_status()
        made("file_id")
    source = {"src_file_id": file["file_id"]}
    with step("pre-process") as made:
        results = _finish(client, "/s2s/v2.0/task/face-reshape/pre-process", source)
        made(f"{len(results['result'])} face(s)")
    with step("face-reshape") as made:
        body = {**source, "version": "1.0", "features": FEATURES, "global": {"skin_smooth_strength": 30}}
        results = _finish(client, "/s2s/v2.0/task/face-reshape", body)
        reshaped = client.get(results["url"]).raise_for_status().content
        (folder / "reshaped.jpg").write_bytes(reshaped)
        both = [decode_picture(picture, JPEG).image for picture in (photo, reshaped)]
        (folder / "before-after.jpg").write_bytes(encode_jpeg(np.concatenate(both, axis=1)))
        made("reshaped.jpg")
        made("before-after.jpg")


def _finish(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    task_id = checked(client.post(path, json=body, headers=HEADERS))["data"]["task_id"]
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        data = checked(client.get(f"{path}/{task_id}", headers=HEADERS))["data"]
        if data["task_status"] == "success":
            results: dict[str, Any] = data["results"]
            return results
        if data["task_status"] == "error":
            raise DemoFailed(f"{path}: {data['error']}: {data.get('error_message')}")
        time.sleep(POLL_SECONDS)
    raise DemoFailed(f"{path}: not finished after {TIMEOUT_SECONDS} s")
