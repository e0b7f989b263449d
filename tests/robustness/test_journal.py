"""The journal counts everything that a call holds, and is read in pages beside the event loop."""

from __future__ import annotations

import json

import pytest
from emulated import Emulated

from emulator.world.journal.entry import Entry

MIB = 1024 * 1024
CALLS = "/_emulator/calls"
JSON = {"Content-Type": "application/json"}


def test_a_thousand_calls_are_read_in_pages(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.control.journal.PAGE_BYTES", MIB)
    body = json.dumps([{"a": number} for number in range(300)]).encode()
    for _ in range(1000):
        emulated.send("POST", "/facepp/nothing", content=body, headers=JSON)
    with emulated.probed():
        page = emulated.send("GET", CALLS, params={"limit": 1000}).content
        verified = emulated.send("POST", f"{CALLS}/verify", json={"match": {"path": "/facepp/nothing"}})
        har = emulated.send("GET", f"{CALLS}.har").content
    read = json.loads(page)
    assert MIB < len(page) < 2 * MIB
    assert read["next_after"] == read["calls"][-1]["number"]
    assert verified.json()["count"] == read["total"] > len(read["calls"])
    assert [entry["_number"] for entry in json.loads(har)["log"]["entries"]] == verified.json()["matching"]
    following = emulated.send("GET", CALLS, params={"limit": 1000, "after": read["next_after"]}).json()
    assert following["calls"][0]["number"] == read["next_after"] + 1
    assert following["total"] == read["total"] - len(read["calls"])


def test_warnings_and_faults_count_as_memory_of_the_journal(emulated: Emulated) -> None:
    journal = emulated.world.journal

    def held(body: object, headers: dict[str, str]) -> int:
        """Return what a call holds that is not in its body."""
        emulated.send("DELETE", CALLS)
        content = json.dumps(body).encode()
        emulated.send("POST", "/s2s/v2.0/file", content=content, headers={**headers, **JSON})
        return int(journal.held_bytes) - len(content)

    key = {"Authorization": "Bearer sk-held"}
    file = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}
    plain = held({"files": [file]}, key)
    assert held({"files": [file], **{f"{'x' * 100}{n}": 1 for n in range(20)}}, key) >= plain + 20 * 100
    places = {"sentence": "y" * 5000}
    rule = {"effect": {"error": "InvalidParameters", "places": places}, "match": {"credential": "sk-held"}}
    added = emulated.send("POST", "/_emulator/faults", json=rule).json()["id"]
    assert held({"files": [file]}, key) >= 1000 + 5000
    emulated.send("DELETE", f"/_emulator/faults/{added}")


def test_read_calls_take_no_more_memory_than_the_limit(emulated: Emulated) -> None:
    journal = emulated.world.journal
    emulated.send("DELETE", CALLS)
    body = json.dumps([[] for _ in range(16_000)]).encode()
    for _ in range(30):
        emulated.send("POST", "/facepp/nothing", content=body, headers=JSON)

    async def read() -> list[Entry]:
        return list(await journal.entries())

    before = emulated.run(read())
    assert len(before) == 30
    assert 16 * MIB < journal.held_bytes <= 32 * MIB
    assert emulated.run(read()) == before
