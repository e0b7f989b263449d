"""The demonstration: one photo through all three vendors, over HTTP, as a client would."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from emulator.face.errors import ImageError
from emulator.face.types import Image
from emulator.pipelines.core import sample_photo
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import ImageRules
from emulator.server import running_server

FEATURES = {"eye_size": 90, "face_width": -80, "chin_length": 40, "nose_wing": -70, "lip_size": 80}
"""What the demonstration asks of the reshape: plain to see, and still a face."""

ANY_FORMAT = ImageRules(frozenset({"jpeg", "png", "webp", "bmp", "heic"}))
POLL_SECONDS = 0.1
TIMEOUT_SECONDS = 60


class DemoFailed(Exception):
    """A vendor answered with an error, or the photo cannot be read."""


@dataclass
class Progress:
    """What has been done, how long it took and what came of it."""

    console: Console
    rows: list[tuple[str, str, float, str]] = field(default_factory=list)

    @contextmanager
    def step(self, vendor: str, what: str) -> Iterator[Callable[[str], None]]:
        """Show and time one step; the block says through the callable what it made."""
        made: list[str] = []
        started = time.perf_counter()
        with self.console.status(f"{vendor}: {what}"):
            yield made.append
        self.rows.append((vendor, what, (time.perf_counter() - started) * 1000, ", ".join(made)))

    def table(self) -> Table:
        """Return everything as a table."""
        table = Table("vendor", "what", "ms", "result")
        table.columns[2].justify = "right"
        for vendor, what, elapsed_ms, made in self.rows:
            table.add_row(vendor, what, f"{elapsed_ms:.0f}", made)
        return table


def run_demo(photo: Path | None, folder: Path) -> None:
    """Write into ``folder`` what the three vendors make of ``photo``, and print a table.

    Raises
    ------
    DemoFailed
        If the photo cannot be read, or a vendor answers with an error.
    """
    console = Console()
    progress = Progress(console)
    folder.mkdir(parents=True, exist_ok=True)
    image, data = _read_photo(photo, progress)
    with ExitStack() as stack:
        with progress.step("emulator", "start, load the face core") as made:
            server = stack.enter_context(running_server())
            client = stack.enter_context(httpx.Client(base_url=server.base_url, timeout=TIMEOUT_SECONDS))
            while client.get("/_emulator/ready").status_code != httpx.codes.OK:
                time.sleep(POLL_SECONDS)
            made(server.base_url)
        _three_d_face(client, data, folder, progress)
        _face_reconstruction(client, data, folder, progress)
        reshaped = _face_reshape(client, data, folder, progress)
    beside = np.concatenate([image, decode_picture(reshaped, ANY_FORMAT).image], axis=1)
    (folder / "before-after.jpg").write_bytes(encode_jpeg(beside))
    console.print(progress.table())
    console.print(f"before and after, side by side: {folder / 'before-after.jpg'}")


def _read_photo(photo: Path | None, progress: Progress) -> tuple[Image, bytes]:
    with progress.step("demo", f"read {photo.name if photo else 'the sample'}") as made:
        data = photo.read_bytes() if photo else sample_photo()
        try:
            picture = decode_picture(data, ANY_FORMAT)
        except ImageError as error:
            raise DemoFailed(f"{photo}: {error}") from error
        height, width = picture.image.shape[:2]
        made(f"{picture.format}, {width} x {height}")
    # Face++ takes nothing but JPEG.
    return picture.image, data if picture.format == "jpeg" else encode_jpeg(picture.image)


def _three_d_face(client: httpx.Client, data: bytes, folder: Path, progress: Progress) -> None:
    with progress.step("Face++", "3dface") as made:
        answer = _checked(
            client.post(
                "/facepp/v1/3dface",
                data={"api_key": "demo", "api_secret": "demo", "texture": "1", "mtl": "1"},
                files={"image_file_1": ("photo.jpg", data, "image/jpeg")},
            )
        )
        for name, member in (("face.obj", "obj_file"), ("face.mtl", "mtl_file"), ("tex.jpg", "texture_img")):
            (folder / name).write_bytes(base64.b64decode(answer[member]))
            made(name)


def _face_reconstruction(client: httpx.Client, data: bytes, folder: Path, progress: Progress) -> None:
    with progress.step("MetaHuman SDK", "face_recon") as made:
        answer = _checked(
            client.post(
                "/face_recon/run_pipeline",
                data={"token": "demo"},
                files={"image_bytes": ("photo.jpg", data, "image/jpeg")},
            )
        )
        (folder / "metahuman.json").write_text(json.dumps(answer, indent=2) + "\n")
        made("metahuman.json")
    with progress.step("MetaHuman SDK", "texture") as made:
        texture = client.get(answer["result"]["face"]["textureUrl"]).raise_for_status()
        (folder / "texture.png").write_bytes(texture.content)
        made("texture.png")


def _face_reshape(client: httpx.Client, data: bytes, folder: Path, progress: Progress) -> bytes:
    headers = {"Authorization": "Bearer demo"}
    with progress.step("Perfect Corp", "register, upload") as made:
        new = {"content_type": "image/jpeg", "file_name": "photo.jpg", "file_size": len(data)}
        answer = _checked(client.post("/s2s/v2.0/file", json={"files": [new]}, headers=headers))
        file = answer["data"]["files"][0]
        upload = file["requests"][0]
        client.request(
            upload["method"], upload["url"], headers=upload["headers"], content=data
        ).raise_for_status()
        made("file_id")
    source = {"src_file_id": file["file_id"]}
    with progress.step("Perfect Corp", "pre-process") as made:
        results = _finish(client, "/s2s/v2.0/task/face-reshape/pre-process", source, headers)
        made(f"{len(results['result'])} face(s)")
    with progress.step("Perfect Corp", "face-reshape") as made:
        body = {**source, "version": "1.0", "features": FEATURES, "global": {"skin_smooth_strength": 30}}
        results = _finish(client, "/s2s/v2.0/task/face-reshape", body, headers)
        reshaped = client.get(results["url"]).raise_for_status().content
        (folder / "reshaped.jpg").write_bytes(reshaped)
        made("reshaped.jpg")
    return reshaped


def _finish(client: httpx.Client, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    task_id = _checked(client.post(path, json=body, headers=headers))["data"]["task_id"]
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        data = _checked(client.get(f"{path}/{task_id}", headers=headers))["data"]
        if data["task_status"] == "success":
            results: dict[str, Any] = data["results"]
            return results
        if data["task_status"] == "error":
            raise DemoFailed(f"{path}: {data['error']}: {data.get('error_message')}")
        time.sleep(POLL_SECONDS)
    raise DemoFailed(f"{path}: not finished after {TIMEOUT_SECONDS} s")


def _checked(response: httpx.Response) -> dict[str, Any]:
    if response.status_code != httpx.codes.OK:
        raise DemoFailed(f"{response.request.url.path}: HTTP {response.status_code}: {response.text}")
    document: dict[str, Any] = response.json()
    return document
