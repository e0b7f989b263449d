"""Pictures degraded on purpose, at every vendor: what a client's own preprocessing may have done."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from emulator.control import Client
from emulator.server import Listening

FACE = (Path(__file__).parent.parent.parent / "fixtures" / "faces" / "ok-frontal.jpg").read_bytes()
SUCCESS = "success"
TASK = "/s2s/v2.0/task/face-reshape"

numbers = itertools.count()


def faceplusplus(client: httpx.Client, key: str) -> str:
    answer = client.post(
        "/facepp/v1/3dface", data={"api_key": key, "api_secret": "s"}, files={"image_file_1": FACE}
    )
    return SUCCESS if answer.status_code == 200 else str(answer.json()["error_message"])


def metahuman(client: httpx.Client, key: str) -> str:
    answer = client.post("/face_recon/run_pipeline", data={"token": key}, files={"image_bytes": FACE})
    return SUCCESS if answer.status_code == 200 else str(answer.json()["error"]["message"])


def perfectcorp(client: httpx.Client, key: str) -> str:
    headers = {"Authorization": f"Bearer {key}"}
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(FACE)}
    file = client.post("/s2s/v2.0/file", json={"files": [new]}, headers=headers).json()["data"]["files"][0]
    upload = file["requests"][0]
    client.put(upload["url"], headers=upload["headers"], content=FACE).raise_for_status()
    body = {"src_file_id": file["file_id"], "version": "1.0", "features": {"jaw": 50}, "global": {}}
    task_id = client.post(TASK, json=body, headers=headers).json()["data"]["task_id"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        data = client.get(f"{TASK}/{task_id}", headers=headers).json()["data"]
        if data["task_status"] != "running":
            return str(data["error"] or SUCCESS)
        time.sleep(0.01)
    raise TimeoutError


VENDORS: dict[str, Callable[[httpx.Client, str], str]] = {
    "faceplusplus": faceplusplus,
    "metahuman": metahuman,
    "perfectcorp": perfectcorp,
}


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    with Client(server.base_url, f"sk-picture-{next(numbers)}") as control:
        yield control
        control.reset()


@pytest.mark.parametrize(
    ("fault", "outcomes"),
    [
        (
            "picture-truncated",
            {
                "faceplusplus": "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file_1",
                "metahuman": "file corrupted",
                "perfectcorp": "error_decode_image",
            },
        ),
        (
            "picture-rotated",
            {
                "faceplusplus": "NO_FACE_FOUND: image_file_1",
                "metahuman": "face not found",
                "perfectcorp": "error_no_face",
            },
        ),
        (
            {"picture": {"shrink": 0.2}},
            {
                "faceplusplus": "INVALID_IMAGE_SIZE: image_file_1",
                "metahuman": SUCCESS,
                "perfectcorp": SUCCESS,
            },
        ),
        ("picture-without-exif", dict.fromkeys(VENDORS, SUCCESS)),
        ("picture-channels-swapped", dict.fromkeys(VENDORS, SUCCESS)),
    ],
    ids=str,
)
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_degraded_picture_leads_to_what_the_vendor_says_of_such(
    client: httpx.Client, me: Client, vendor: str, fault: str, outcomes: dict[str, str]
) -> None:
    rule = me.add_fault(fault, count=1)
    assert VENDORS[vendor](client, str(me.credential)) == outcomes[vendor]
    assert rule.id not in {left.id for left in me.faults()}, "it has not fired"
    # The next picture is left as it is.
    assert VENDORS[vendor](client, str(me.credential)) == SUCCESS


def test_swapped_channels_are_seen_in_the_colour_of_the_skin(client: httpx.Client, me: Client) -> None:
    def skin() -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        fields = {"token": str(me.credential)}
        answer = client.post("/face_recon/run_pipeline", data=fields, files={"image_bytes": FACE})
        color = bytes.fromhex(answer.json()["result"]["skin"]["color"].removeprefix("#"))
        return np.frombuffer(color, np.uint8).astype(np.int64)

    plain = skin()
    me.add_fault("picture-channels-swapped", count=1)
    assert plain[0] > plain[2] + 20
    np.testing.assert_allclose(skin(), plain[::-1], atol=12)
