"""Reshape tasks and pre-process tasks."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, ImageCms
from PIL import Image as PillowImage

from emulator.backends.records import Create
from emulator.tasks.store import KIND

TASK = "/s2s/v2.0/task/face-reshape"
PRE_PROCESS = f"{TASK}/pre-process"
WIDER_EYES: dict[str, Any] = {"version": "1.0", "features": {"eye_size": 80}, "global": {}}


def pixels(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with PillowImage.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def test_the_result_has_the_orientation_and_the_profile_of_the_picture(api: Any, face_jpeg: bytes) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned, buffer = np.ascontiguousarray(np.rot90(pixels(face_jpeg))), io.BytesIO()
    PillowImage.fromarray(turned).save(buffer, "JPEG", quality=95, exif=exif, icc_profile=profile)
    made = api.result(api.start({**WIDER_EYES, "src_file_id": api.upload(buffer.getvalue())}))
    with PillowImage.open(io.BytesIO(made)) as result:
        assert result.size == (turned.shape[1], turned.shape[0])
        assert result.getexif()[ExifTags.Base.Orientation] == 6
        assert result.info["icc_profile"] == profile


@pytest.mark.parametrize(("pillow_format", "content_type"), [("JPEG", "image/jpg"), ("PNG", "image/png")])
def test_a_face_is_reshaped(api: Any, face_jpeg: bytes, pillow_format: str, content_type: str) -> None:
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(face_jpeg)).save(buffer, pillow_format, quality=95)
    photo = buffer.getvalue()
    task_id = api.start({"src_file_id": api.upload(photo, content_type), **WIDER_EYES})
    assert len(base64.urlsafe_b64decode(task_id)) == 48
    data = api.wait(task_id)
    assert list(data) == ["error", "results", "task_status"]
    assert (data["error"], data["task_status"]) == (None, "success")
    assert list(data["results"]) == ["url", "timed", "timed_apply"]
    download = api.anonymous.get(data["results"]["url"])
    assert download.headers["content-type"] == f"image/{pillow_format.lower()}"
    with PillowImage.open(io.BytesIO(download.content)) as result:
        assert result.format == pillow_format
    before, after = pixels(photo).astype(int), pixels(download.content).astype(int)
    assert before.shape == after.shape
    changed = np.abs(before - after).max(axis=2) > 24
    assert changed.sum() > 100
    # The edge of the picture is far from any face.
    assert not changed[:20].any()
    assert not changed[-20:].any()


def test_a_result_url_is_signed_anew_at_every_poll_and_leads_to_the_same_bytes(
    emulate: Callable[..., Any], face_jpeg: bytes
) -> None:
    emulator = emulate()
    task_id = emulator.start({"src_file_id": emulator.upload(face_jpeg), **WIDER_EYES})
    first = emulator.wait(task_id)["results"]["url"]
    emulator.clock.advance(1)
    second = emulator.wait(task_id)["results"]["url"]
    assert first != second
    contents = [emulator.anonymous.get(url).content for url in (first, second)]
    assert contents[0] == contents[1]
    with PillowImage.open(io.BytesIO(contents[0])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (640, 640))


def test_the_same_task_gives_the_same_bytes(api: Any, face_jpeg: bytes) -> None:
    body = {
        "src_file_id": api.upload(face_jpeg),
        "version": "1.0",
        "features": {"nose_size": 50, "jaw": 40, "lip_peak": -100},
        "global": {"skin_smooth_strength": 50, "skin_smooth_color_intensity": 50},
    }
    task_ids = [api.start(body) for _ in range(3)]
    assert len({api.result(task_id) for task_id in task_ids}) == 1


def test_pre_process_lists_the_faces_largest_first(api: Any, two_faces_jpeg: bytes) -> None:
    task_id = api.start({"src_file_id": api.upload(two_faces_jpeg)}, PRE_PROCESS)
    data = api.wait(task_id, PRE_PROCESS)
    assert list(data["results"]) == ["timed", "result"]
    boxes = data["results"]["result"]
    assert len(boxes) == 2
    height, width = pixels(two_faces_jpeg).shape[:2]
    for box in boxes:
        assert list(box) == ["left", "top", "width", "height"]
        assert 0 <= box["left"] < box["left"] + box["width"] <= width
        assert 0 <= box["top"] < box["top"] + box["height"] <= height
    areas = [box["width"] * box["height"] for box in boxes]
    assert areas == sorted(areas, reverse=True)


def test_index_selects_the_face_to_reshape(api: Any, two_faces_jpeg: bytes) -> None:
    file_id = api.upload(two_faces_jpeg)
    boxes = api.wait(api.start({"src_file_id": file_id}, PRE_PROCESS), PRE_PROCESS)["results"]["result"]
    before = pixels(two_faces_jpeg).astype(int)
    for index in (0, 1):
        made = api.result(api.start({"src_file_id": file_id, "index": index, **WIDER_EYES}))
        changed = np.abs(before - pixels(made)).max(axis=2) > 24
        inside = [
            changed[box["top"] : box["top"] + box["height"], box["left"] : box["left"] + box["width"]].sum()
            for box in boxes
        ]
        assert inside[index] > 20
        assert inside[1 - index] == 0


def test_a_per_side_zero_overrides_the_combined_parameter(api: Any, face_jpeg: bytes) -> None:
    features = {"eye_size": 80, "eye_size_left": 0}
    body = {"src_file_id": api.upload(face_jpeg), **WIDER_EYES, "features": features}
    result = pixels(api.result(api.start(body))).astype(int)
    changed = np.abs(pixels(face_jpeg) - result).max(axis=2) > 24
    half = changed.shape[1] // 2
    # The person's right side is on the left of the picture.
    assert changed[:, :half].sum() > 50
    assert changed[:, half:].sum() == 0


def test_tasks_and_files_belong_to_their_key(api: Any, face_jpeg: bytes) -> None:
    file_id = api.upload(face_jpeg)
    task_id = api.start({"src_file_id": file_id, **WIDER_EYES})
    other = {"Authorization": "Bearer sk-other"}
    refused = api.client.post(TASK, json={"src_file_id": file_id, **WIDER_EYES}, headers=other)
    assert (refused.status_code, refused.json()) == (
        400,
        {
            "status": 400,
            "error": "One or more parameters in this request are invalid.",
            "error_code": "InvalidParameters",
        },
    )
    response = api.client.get(f"{TASK}/{task_id}", headers=other)
    assert (response.status_code, response.json()) == (
        400,
        {"status": 400, "error": "Invalid task ID", "error_code": "InvalidTaskId"},
    )
    kind = api.client.get(f"{PRE_PROCESS}/{task_id}")
    assert (kind.status_code, kind.json()) == (response.status_code, response.json())
    assert api.wait(task_id)["task_status"] == "success"


@pytest.mark.parametrize("path", [TASK, PRE_PROCESS])
def test_a_task_gets_another_id_if_another_server_has_just_used_it(
    emulate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, face_jpeg: bytes, path: str
) -> None:
    emulator = emulate(pre_process_units=1)
    file_id = emulator.upload(face_jpeg)
    world = emulator.client.app.state.world
    write = world.records.write
    tried: list[str] = []

    async def taken_once(changes: Sequence[Any]) -> bool:
        tried.extend(change.key for change in changes if isinstance(change, Create) and change.kind == KIND)
        if len(tried) == 1:
            raise KeyError(tried[0])
        done: bool = await write(changes)
        return done

    with monkeypatch.context() as patched:
        patched.setattr(world.records, "write", taken_once)
        answer = emulator.create(file_id, path)
    assert answer.status_code == 200, answer.text
    first, second = tried
    assert first != second == answer.json()["data"]["task_id"]
    for since_start in (False, True):
        params = {"credential": "sk-test", "since_start": since_start}
        (cost,) = emulator.client.get("/_emulator/costs", params=params).json()["operations"]
        assert (cost["calls"], cost["units"]) == (1, 1)
