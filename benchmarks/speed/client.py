"""Calls to the emulator."""

from __future__ import annotations

import base64
import http.client
import io
import json
import time
from functools import cache
from typing import Any

import httpx
import numpy as np
from PIL import Image
from skimage import data as photographs

from benchmarks.speed.servers import KEY, Running

FEATURES = {"version": "1.0", "features": {"eye_size": 50, "jaw": 40, "lip_size": 30}, "global": {}}
TASK = "/s2s/v2.0/task/face-reshape"


@cache
def photo(side: int) -> bytes:
    """Return a portrait as a JPEG whose longer side has ``side`` pixels."""
    astronaut: np.ndarray[Any, Any] = photographs.astronaut()  # type: ignore[no-untyped-call]
    portrait = Image.fromarray(astronaut[:400, 60:380])
    into = io.BytesIO()
    portrait.resize((side * 4 // 5, side), Image.Resampling.BICUBIC).save(into, "jpeg", quality=92)
    return into.getvalue()


class Client:
    """A client of all vendors."""

    def __init__(self, server: Running) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port)
        self.http = httpx.Client(base_url=server.url, headers=KEY, timeout=120, trust_env=False)

    def _call(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        """Send a small call, and return the member ``data`` of the response.

        httpx takes longer for such a call than the emulator, and the worker processes need this time.
        """
        body = None if document is None else json.dumps(document)
        self.connection.request(method, path, body, {**KEY, "Content-Type": "application/json"})
        data: dict[str, Any] = json.load(self.connection.getresponse())["data"]
        return data

    def face3d(self, picture: bytes) -> None:
        """Reconstruct a mesh with texture and material file (Face++)."""
        form = {"api_key": "k", "api_secret": "s", "texture": "1", "mtl": "1"}
        answer = self.http.post("/facepp/v1/3dface", data=form, files={"image_file_1": ("a.jpg", picture)})
        answer.raise_for_status()
        if not base64.b64decode(answer.json()["obj_file"]):
            raise RuntimeError("the response has no mesh")

    def run_pipeline(self, picture: bytes) -> None:
        """Reconstruct a head (MetaHuman), and download its texture."""
        answer = self.http.post(
            "/face_recon/run_pipeline", data={"token": "t"}, files={"image_bytes": ("a.jpg", picture)}
        )
        answer.raise_for_status()
        texture = self.http.get(f"/face_recon{answer.json()['result']['face']['textureUrl']}")
        texture.raise_for_status()

    def upload(self, picture: bytes) -> str:
        """Register and upload a picture (Perfect Corp), and return its id."""
        new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(picture)}
        answer = self.http.post("/s2s/v2.0/file", json={"files": [new]})
        answer.raise_for_status()
        file = answer.json()["data"]["files"][0]
        request = file["requests"][0]
        put = httpx.put(request["url"], content=picture, headers=request["headers"], trust_env=False)
        put.raise_for_status()
        file_id: str = file["file_id"]
        return file_id

    def create(self, file_id: str) -> str:
        """Create a reshape, and return its id."""
        task_id: str = self._call("POST", TASK, {"src_file_id": file_id, **FEATURES})["task_id"]
        return task_id

    def finish(self, task_id: str, interval_s: float = 0.003) -> dict[str, Any]:
        """Poll until a task has ended, and return the last response.

        With shorter intervals, the polls would take time from the worker processes.
        """
        while True:
            data = self._call("GET", f"{TASK}/{task_id}")
            if data["task_status"] != "running":
                return data
            time.sleep(interval_s)

    def reshape(self, file_id: str) -> None:
        """Create a reshape, and poll until it has succeeded."""
        data = self.finish(self.create(file_id))
        if data["task_status"] != "success":
            raise RuntimeError(f"the reshape has failed: {data}")
