from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import trimesh
from PIL import Image as PillowImage
from trimesh.visual import TextureVisuals
from vendor_data import VENDORS

from emulator.backends.queue.pool import WorkerPool
from emulator.demo import run_demo
from emulator.server import running_server
from emulator.web.demonstration import DemoFailed

FILES = {
    "before-after.jpg",
    "example.json",
    "face.mtl",
    "face.obj",
    "head.glb",
    "head.png",
    "metahuman.json",
    "reshaped.jpg",
    "tex.jpg",
    "texture.png",
}


@pytest.fixture(autouse=True)
def warm(monkeypatch: pytest.MonkeyPatch, workers: WorkerPool) -> None:
    """Let the emulators that the demo starts share a warm worker."""
    monkeypatch.setattr("emulator.demo.running_server", partial(running_server, workers=workers))


@pytest.mark.parametrize("given", [True, False], ids=["a photo", "no photo"])
def test_the_demo_writes_the_results_of_all_vendors(
    tmp_path: Path, face_jpeg: bytes, capsys: pytest.CaptureFixture[str], *, given: bool
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(face_jpeg)
    folder = tmp_path / "demo"
    run_demo(photo if given else None, folder)
    assert {path.name for path in folder.iterdir()} >= FILES
    mesh = trimesh.load_mesh(folder / "face.obj")
    assert isinstance(mesh.visual, TextureVisuals)
    assert mesh.visual.material.image.size == (1024, 1024)
    assert json.loads((folder / "example.json").read_text()) == {"faces": 1}
    assert len(json.loads((folder / "metahuman.json").read_text())["result"]["face"]["blendShapes"]) == 80
    head = trimesh.load_scene(folder / "head.glb")
    assert sum(len(part.vertices) for part in head.geometry.values()) == 5255
    with PillowImage.open(folder / "head.png") as picture:
        assert picture.size == (1280, 320)
    with (
        PillowImage.open(folder / "reshaped.jpg") as after,
        PillowImage.open(folder / "before-after.jpg") as both,
    ):
        assert both.size == (2 * after.width, after.height)
    printed = capsys.readouterr().out
    for vendor in VENDORS.values():
        assert vendor.title in printed


def test_the_demo_prints_its_steps_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not use the proxy of the environment for its own emulator."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    run_demo(None, tmp_path, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["folder"] == str(tmp_path)
    assert {step["vendor"] for step in document["steps"]} >= {vendor.title for vendor in VENDORS.values()}
    assert all(set(step) == {"vendor", "step", "ms", "result"} for step in document["steps"])


def test_a_picture_without_a_face_fails_with_the_vendors_error(tmp_path: Path, landscape_jpeg: bytes) -> None:
    photo = tmp_path / "landscape.jpg"
    photo.write_bytes(landscape_jpeg)
    with pytest.raises(DemoFailed, match="NO_FACE_FOUND: image_file_1"):
        run_demo(photo, tmp_path / "demo")


def test_a_file_that_is_no_picture_fails(tmp_path: Path) -> None:
    photo = tmp_path / "notes.txt"
    photo.write_text("not a picture")
    with pytest.raises(DemoFailed, match="cannot be decoded"):
        run_demo(photo, tmp_path / "demo")
