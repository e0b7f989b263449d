from __future__ import annotations

from collections.abc import Callable

import httpx

from face_api_emulator.client import Client


def test_reset_clears_the_state_of_one_credential(tell_mine: Callable[..., str], me: Client) -> None:
    me.add_fault("slow", operation="upload")
    me.freeze()
    tell_mine("reset")
    assert (me.faults(), me.clock().own) == ([], False)


def test_costs_are_printed(
    tell_mine: Callable[..., str], client: httpx.Client, face_jpeg: bytes, me: Client
) -> None:
    keys, files = {"api_key": str(me.credential), "api_secret": "s"}, {"image_file_1": face_jpeg}
    client.post("/facepp/v1/3dface", data=keys, files=files).raise_for_status()
    assert tell_mine("costs").split() == [
        "faceplusplus",
        "3dface",
        "1",
        "calls",
        "no",
        "price",
        "is",
        "set",
    ]
    assert me.costs().unpriced == ["faceplusplus/3dface"]
