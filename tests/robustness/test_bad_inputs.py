"""Bad requests to all routes, and the right answer to each.

A line of ``bad_inputs.jsonl`` has the route, the request, the status, and a part of the response. A text can
be a list of pairs of a text and the number of its repetitions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import FACES
from emulated import Emulated

ROWS = [json.loads(line) for line in Path(__file__).with_name("bad_inputs.jsonl").read_text().splitlines()]

PHOTO = (FACES / "ok-frontal.jpg").read_bytes()

GROUPS = {
    "faceplusplus": ("/facepp",),
    "metahuman": ("/auth", "/face_recon", "/hair_recon", "/glb_const", "/static"),
    "perfectcorp": ("/s2s", "/yce-us"),
    "control": ("/_emulator",),
}


def text_of(parts: Any) -> str:
    return parts if isinstance(parts, str) else "".join(text * count for text, count in parts)


def bytes_of(parts: Any) -> bytes:
    text = text_of(parts)
    return text.encode("latin-1" if max(text, default="") <= "\xff" else "utf-8", "surrogatepass")


def send(emulated: Emulated, method: str, path: str, given: dict[str, Any]) -> tuple[int, str]:
    request: dict[str, Any] = {"headers": given.get("headers")}
    if "content" in given:
        request["content"] = bytes_of(given["content"])
    if "form" in given:
        request["data"] = given["form"]
    if "files" in given:
        contents = {
            name: PHOTO if data == "photo" else bytes_of(data) for name, data in given["files"].items()
        }
        request["files"] = {name: ("a.jpg", data) for name, data in contents.items()}
    answer = emulated.send(method, path, **request)
    return answer.status_code, answer.text


def test_there_are_many_bad_inputs_for_every_route() -> None:
    assert len(ROWS) >= 800
    assert len({json.dumps(row[:2]) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("group", GROUPS)
def test_a_bad_request_gets_its_answer(emulated: Emulated, group: str) -> None:
    wrong = []
    count = 0
    for route, given, status, part in ROWS:
        method, path = route if isinstance(route, list) else route.split(" ", 1)
        path = text_of(path)
        if path.startswith(GROUPS[group]):
            count += 1
            found = send(emulated, method, path, given)
            if found[0] != status or part not in found[1]:
                wrong.append(f"{method} {path[:200]} {given}: {found} instead of {status} {part}")
    assert count > 80
    assert wrong == []
