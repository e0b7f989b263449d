"""Each program of ``examples/`` against the emulator, by a base URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from example_programs import VENDORS, Job, Run, run_all
from example_results import FILES, check_files, each_language, needs, variables
from PIL import Image

from emulator.server import Listening
from face_api_emulator.client import Client

FACES = Path(__file__).parent.parent.parent / "fixtures" / "faces"


CALLS = {
    "faceplusplus": [("3dface", 403), ("3dface", 200)],
    "metahuman": [("run_pipeline", 200), ("static", 200)],
    "perfectcorp": [
        ("create_file", 200), ("upload", 200), ("create_reshape", 429), ("create_reshape", 200),
        ("check_reshape", 200), ("check_reshape", 200), ("download", 200),
    ],
}  # fmt: skip


@each_language
def test_the_programs_write_the_results_after_a_retry(
    server: Listening,
    picture: Path,
    command: Callable[..., list[str]],
    expected: Mapping[str, bytes],
    tmp_path: Path,
    language: str,
) -> None:
    needs(language)
    jobs = []
    for vendor in VENDORS:
        key = f"example-{language}-{vendor}"
        with Client(server.base_url, key) as me:
            if vendor == "faceplusplus":
                me.add_fault("CONCURRENCY_LIMIT_EXCEEDED", count=1)
            if vendor == "perfectcorp":
                me.add_fault("TooManyRequests", count=1, operation="create_reshape")
                me.set_progression("after_polls", polls=1)
        arguments = [str(picture), str(tmp_path / vendor)]
        jobs.append(Job([*command(language, vendor), *arguments], variables(server.base_url, key)))
    for vendor, run in zip(VENDORS, run_all(jobs), strict=True):
        assert run == Run(0, "".join(f"{tmp_path / vendor / name}\n" for name in FILES[vendor]), "")
        check_files(vendor, tmp_path / vendor, expected)
        with Client(server.base_url, f"example-{language}-{vendor}") as me:
            calls = me.calls()
        assert [(call.operation, call.status) for call in calls] == CALLS[vendor]
        assert [call.warnings for call in calls if call.warnings] == []
        repeated = CALLS[vendor][-2][0]
        starts = [call.real_started_at for call in calls if call.operation == repeated]
        if vendor != "metahuman":  # there is a pause before a retry, and between two polls
            assert np.diff(starts).min() > 0.9


@each_language
def test_a_png_gives_a_png(
    server: Listening, command: Callable[..., list[str]], tmp_path: Path, language: str
) -> None:
    needs(language)
    photo, result = tmp_path / "PHOTO.PNG", tmp_path / "new" / "folder" / "reshaped.png"
    Image.open(FACES / "ok-frontal.jpg").save(photo)
    key = f"example-png-{language}"
    words = [*command(language, "perfectcorp"), str(photo), str(result.parent)]
    assert run_all([Job(words, variables(server.base_url, key))]) == [Run(0, f"{result}\n", "")]
    with Image.open(result) as image:
        assert (image.format, image.size) == ("PNG", (640, 640))
    with Client(server.base_url, key) as me:
        (file,) = me.calls(operation="create_file")
    assert file.sent is not None
    assert file.sent["json"]["files"][0]["content_type"] == "image/png"
