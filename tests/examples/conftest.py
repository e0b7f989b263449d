"""Fixtures for the programs of ``examples/``: their commands, a picture, and the expected files."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest
from example_programs import EXAMPLES, VENDORS, program

# Its assertions show the compared values, as those of tests do.
pytest.register_assert_rewrite("example_results")

FACES = Path(__file__).parent.parent.parent / "fixtures" / "faces"
FEATURES = {"eye_size": 60, "face_width": -50, "lip_size": 40}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Return a function that returns the command of a program.

    Java programs start from their classes, which is faster. Compiling them as Java 11 also checks them.
    """
    compiled: dict[Path, str] = {}

    def start(language: str, vendor: str, folder: Path = EXAMPLES) -> list[str]:
        if language != "java":
            return program(language, vendor, folder)
        if folder not in compiled:
            compiled[folder] = str(tmp_path_factory.mktemp("classes"))
            options = ["--release", "11", "-Xlint:all", "-Werror", "-d", compiled[folder]]
            sources = map(str, sorted((folder / "java").glob("*.java")))
            subprocess.run(["javac", *options, *sources], check=True)  # noqa: S603, S607 - any javac
        return [
            "java",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-cp",
            compiled[folder],
            VENDORS[vendor],
        ]

    return start


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture with a name that is hard to quote."""
    return Path(
        shutil.copy(FACES / "ok-frontal.jpg", tmp_path_factory.mktemp("faces") / 'my "best", 1;2.jpg')
    )


@pytest.fixture(scope="module")
def expected(client: httpx.Client) -> Mapping[str, bytes]:
    """The files that the programs must write, from the emulator directly."""
    photo = (FACES / "ok-frontal.jpg").read_bytes()
    key = {"Authorization": "Bearer expected"}
    head = client.post(
        "/facepp/v1/3dface",
        data={"api_key": "expected", "api_secret": "s", "texture": "1", "mtl": "1"},
        files={"image_file_1": photo},
    ).json()
    person = client.post("/face_recon/run_pipeline", data={"token": "expected"}, files={"image_bytes": photo})
    tasks = "/s2s/v2.0/task/face-reshape"
    new = {"content_type": "image/jpg", "file_name": "a.jpg", "file_size": len(photo)}
    file = client.post("/s2s/v2.0/file", json={"files": [new]}, headers=key).json()["data"]["files"][0]
    upload = file["requests"][0]
    client.put(upload["url"], headers=upload["headers"], content=photo).raise_for_status()
    body = {"version": "1.0", "src_file_id": file["file_id"], "features": FEATURES, "global": {}}
    task = f"{tasks}/{client.post(tasks, json=body, headers=key).json()['data']['task_id']}"
    while (state := client.get(task, headers=key).json()["data"])["task_status"] == "running":
        time.sleep(0.02)
    return {
        "face.obj": base64.b64decode(head["obj_file"]),
        "face.mtl": base64.b64decode(head["mtl_file"]),
        "tex.jpg": base64.b64decode(head["texture_img"]),
        "metahuman.json": person.content,
        "texture.png": client.get(person.json()["result"]["face"]["textureUrl"]).content,
        "reshaped.jpg": client.get(state["results"]["url"]).content,
    }
