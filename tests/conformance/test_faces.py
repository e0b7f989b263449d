"""Each named test face leads to the outcome that the README's table promises, at every vendor."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.face.synthetic.named import NAMED_FACES
from emulator.pipelines.faces import UnknownFace, named_face

ROOT = Path(__file__).parent.parent.parent
FACES = ROOT / "fixtures" / "faces"
PATIENCE_SECONDS = 60
SUCCESS = "success"

ROW = re.compile(
    r"^\| `(?P<name>[\w-]+)` \| (?P<shows>.+?) \| (?P<faceplusplus>.+?) \| (?P<metahuman>.+?) "
    r"\| (?P<perfectcorp>.+?) \|$",
    re.MULTILINE,
)
TABLE = {row["name"]: row for row in ROW.finditer((ROOT / "README.md").read_text())}


_STRINGS = re.compile(r'"([^"]+)"')


def faceplusplus(client: httpx.Client, data: bytes) -> str:
    answer = client.post(
        "/facepp/v1/3dface",
        data={"api_key": "k", "api_secret": "s"},
        files={"image_file_1": ("face.jpg", data, "image/jpeg")},
    )
    return SUCCESS if answer.status_code == httpx.codes.OK else str(answer.json()["error_message"])


def metahuman(client: httpx.Client, data: bytes) -> str:
    answer = client.post(
        "/face_recon/run_pipeline", data={"token": "t"}, files={"image_bytes": ("face.jpg", data)}
    )
    if answer.status_code == httpx.codes.OK:
        return SUCCESS
    return str(next(text for text in _STRINGS.findall(answer.text) if " " in text))


def perfectcorp(client: httpx.Client, data: bytes) -> str:
    headers = {"Authorization": "Bearer k"}
    new = {"content_type": "image/jpg", "file_name": "face.jpg", "file_size": len(data)}
    file = client.post("/s2s/v2.0/file", json={"files": [new]}, headers=headers).json()["data"]["files"][0]
    upload = file["requests"][0]
    sent = client.request(upload["method"], upload["url"], headers=upload["headers"], content=data)
    sent.raise_for_status()
    body = {"version": "1.0", "src_file_id": file["file_id"], "features": {"eye_size": 60}, "global": {}}
    path = "/s2s/v2.0/task/face-reshape"
    task_id = client.post(path, json=body, headers=headers).json()["data"]["task_id"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        task = client.get(f"{path}/{task_id}", headers=headers).json()["data"]
        if task["task_status"] != "running":
            return str(task["error"]) if task["task_status"] == "error" else SUCCESS
        time.sleep(0.02)
    raise TimeoutError


VENDORS: dict[str, Callable[[httpx.Client, bytes], str]] = {
    "faceplusplus": faceplusplus,
    "metahuman": metahuman,
    "perfectcorp": perfectcorp,
}


def test_the_table_lists_every_test_face() -> None:
    assert list(TABLE) == list(NAMED_FACES)
    for name, face in NAMED_FACES.items():
        assert TABLE[name]["shows"] == face.shows


@pytest.mark.parametrize("name", NAMED_FACES)
def test_a_test_face_always_leads_to_the_documented_outcome(client: httpx.Client, name: str) -> None:
    data = (FACES / f"{name}.jpg").read_bytes()
    for vendor, outcome in VENDORS.items():
        assert f"`{outcome(client, data)}`" == TABLE[name][vendor].replace(SUCCESS, f"`{SUCCESS}`"), vendor


def answered(client: httpx.Client, name: str) -> dict[str, Any]:
    """Return MetaHuman's answer to a test face."""
    data = (FACES / f"{name}.jpg").read_bytes()
    answer = client.post(
        "/face_recon/run_pipeline", data={"token": "t"}, files={"image_bytes": ("face.jpg", data)}
    )
    result: dict[str, Any] = answer.json()["result"]
    return result


def attributes_of(name: str) -> list[dict[str, Any]]:
    """Return what is known of each person in a test face."""
    truth = (FACES / f"{name}.json").read_text()
    return [face["attributes"] for face in json.loads(truth)["faces"]]


# Of several people MetaHuman describes an arbitrary one; 120 pixels show no strands.
ALONE = [
    name
    for name in NAMED_FACES
    if TABLE[name]["metahuman"] == SUCCESS and len(attributes_of(name)) == 1 and name != "too-few-pixels"
]


@pytest.mark.parametrize("name", ALONE)
def test_hair_and_glasses_are_answered_as_the_test_face_has_them(client: httpx.Client, name: str) -> None:
    (truth,) = attributes_of(name)
    result = answered(client, name)
    assert result["hair"]["type"] == truth["hair_type"]
    assert result["accessories"] == (["glasses"] if truth["glasses"] else [])


def test_one_person_under_two_kinds_of_hair_has_one_gender(client: httpx.Client) -> None:
    names = ("long-hair", "ponytail")
    genders = {attributes_of(name)[0]["gender"].capitalize() for name in names}
    assert len(genders) == 1
    assert {answered(client, name)["gender"] for name in names} == genders


@pytest.mark.parametrize("name", ["ok-right", "two-faces", "no-face", "corrupt", "not-a-picture"])
def test_the_fixtures_are_what_the_command_makes_on_whatever_processor(tmp_path: Path, name: str) -> None:
    # A process of its own: here, numpy was loaded with all that the processor can do.
    command = [sys.executable, "-m", "emulator", "faces", "--name", name, "-o", str(tmp_path / f"{name}.jpg")]
    subprocess.run(command, check=True)  # noqa: S603 - our own command
    for file in (f"{name}.jpg", f"{name}.json"):
        assert (FACES / file).read_bytes() == (tmp_path / file).read_bytes()


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownFace, match="ok-frontal"):
        named_face("mona-lisa")
