from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image as PillowImage
from pydantic import ValidationError

from emulator.drift.samples import (
    NotAnswered,
    Sample,
    filled,
    filled_path,
    golden_folder,
    look_up,
    picture,
    read_samples,
    write_sample,
)
from emulator.settings import Settings
from emulator.web.vendor import discover_vendors

ANSWER = {"body": {"files": [{"id": "a/b+c==", "headers": {"Content-Type": "image/jpeg"}}]}}


def test_look_up_follows_members_and_positions() -> None:
    assert look_up(ANSWER, "body.files.0.id") == "a/b+c=="
    for place in ("body.files.1", "body.files.x", "body.nothing", "body.files.0.id.deeper"):
        with pytest.raises(NotAnswered, match=place.replace(".", r"\.")):
            look_up(ANSWER, place)


def test_placeholders_in_a_request_are_filled() -> None:
    names = {"key": "k", "headers": {"Content-Length": 3}}
    assert filled({"a": "Bearer {key}", "b": "{headers}", "c": [1, "{key}"]}, names) == {
        "a": "Bearer k",
        "b": {"Content-Length": 3},
        "c": [1, "k"],
    }


def test_a_value_in_a_path_is_escaped() -> None:
    names = {"id": "../x?a=1#f", "url": "https://store.example/a?b=c"}
    assert filled_path("/task/{id}", names) == "/task/..%2Fx%3Fa=1%23f"
    assert filled_path("{url}", names) == "https://store.example/a?b=c"


def test_reading_and_writing_a_sample_keeps_its_text(tmp_path: Path) -> None:
    for vendor in discover_vendors(Settings().vendor_packages):
        for name, sample in read_samples(golden_folder(vendor)).items():
            write_sample(tmp_path / vendor.name, name, sample)
        for file in golden_folder(vendor).iterdir():
            assert (tmp_path / vendor.name / file.name).read_text() == file.read_text()


def test_a_sample_with_an_unknown_placeholder_is_refused() -> None:
    step = {"request": {"method": "GET", "path": "/task/{task_id}"}, "response": {}}
    with pytest.raises(ValidationError, match="no earlier step keeps task_id"):
        Sample.model_validate({"title": "t", "steps": [step]})


def test_only_pictures_of_the_package_are_sent() -> None:
    for name in ("../pictures/no-face.jpg", "/etc/hostname", "me.jpg"):
        with pytest.raises(FileNotFoundError):
            picture(name)
    with PillowImage.open(io.BytesIO(picture("ok-frontal.jpg"))) as opened:
        assert opened.size == (640, 640)


def test_every_upload_is_registered_with_its_length() -> None:
    for vendor in discover_vendors(Settings().vendor_packages):
        for sample in read_samples(golden_folder(vendor)).values():
            registered = json.dumps([step.request.body for step in sample.steps])
            for step in sample.steps:
                if step.request.method == "PUT" and step.request.content is not None:
                    assert f'"file_size": {len(picture(step.request.content))}' in registered


def test_a_lone_surrogate_in_a_response_can_be_recorded(tmp_path: Path) -> None:
    step = {"request": {"method": "GET", "path": "/"}, "response": {"body": {"name": "\ud800"}}}
    sample = Sample.model_validate({"title": "t", "steps": [step]})
    write_sample(tmp_path, "half", sample)
    assert read_samples(tmp_path) == {"half": sample}
