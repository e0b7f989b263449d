"""Tasks that fail, and their errors."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image as PillowImage

from emulator.vendors.perfectcorp.reshape.jobs import Engine
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings

WIDER_EYES: dict[str, Any] = {"version": "1.0", "features": {"eye_size": 80}, "global": {}}

# Limits that the test faces exceed.
STRICT = {"file_bytes": 300_000, "longest_side": 700, "face_fraction": 0.6, "face_angle_deg": 89.0}


def enlarged(photo: bytes, side: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(photo)).resize((side, side)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("picture", "body", "code"),
    [
        ("landscape", WIDER_EYES, "error_no_face"),
        ("text", WIDER_EYES, "error_decode_image"),
        ("face", {**WIDER_EYES, "index": 1}, "invalid_parameter"),
        ("face", {**WIDER_EYES, "index": -1}, "invalid_parameter"),
    ],
)
def test_errors_of_the_engine_are_in_the_status_of_the_task(
    api: Any,
    face_jpeg: bytes,
    landscape_jpeg: bytes,
    picture: str,
    body: dict[str, Any],
    code: str,
) -> None:
    pictures = {"face": face_jpeg, "landscape": landscape_jpeg, "text": b"not a picture"}
    data = api.wait(api.start({"src_file_id": api.upload(pictures[picture]), **body}))
    assert list(data) == ["error", "error_message", "results", "task_status"]
    assert (data["error"], data["results"], data["task_status"]) == (code, None, "error")


def test_a_url_that_cannot_be_downloaded_fails_the_task(api: Any) -> None:
    data = api.wait(api.start({"src_file_url": "http://127.0.0.1:9/selfie.jpg", **WIDER_EYES}))
    assert data["error"] == "error_download_image"


def test_the_engine_has_errors_for_the_limits_of_pictures(
    emulate: Callable[..., Any], face_jpeg: bytes
) -> None:
    strict = emulate(**STRICT)
    assert strict.run(face_jpeg)["error"] == "error_pose"
    assert strict.run(enlarged(face_jpeg, 701))["error"] == "exceed_max_filesize"


def test_a_task_that_fails_unexpectedly_says_so(
    emulate: Callable[..., Any], face_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Engine, "_read_picture", fail)
    data = emulate().run(face_jpeg)
    assert (data["error"], data["task_status"]) == ("unknown_internal_error", "error")


def test_tasks_may_fail_with_the_codes_of_the_page(
    emulate: Callable[..., Any], landscape_jpeg: bytes
) -> None:
    assert emulate(engine_codes="page").run(landscape_jpeg)["error"] == "PHOTO_DETECTION_FAIL"


def test_the_documented_limits_are_the_defaults() -> None:
    settings = PerfectCorpSettings()
    assert (settings.file_bytes, settings.longest_side) == (10 * 1024 * 1024, 4096)
    assert (settings.face_fraction, settings.face_angle_deg) == (1 / 20, 30)
