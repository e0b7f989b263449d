from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from emulator.backends.queue.pool import WorkerPool
from emulator.server import running_server
from emulator.settings import Settings

CALLS = "/_emulator/calls"


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            yield event
            event = {}


def test_the_stream_sends_new_calls_and_resumes(caller: Any) -> None:
    params = {"credential": caller.key}
    with caller.client.stream("GET", f"{CALLS}/stream", params=params) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        coming = events(stream.iter_lines())
        next(coming)  # the stream begins with a comment
        caller.register()
        first = next(coming)
    assert first["event"] == "call"
    (call,) = caller.calls()
    assert json.loads(first["data"]) == call
    assert first["id"] == str(call["number"])
    caller.poll()
    with caller.client.stream(
        "GET", f"{CALLS}/stream", params=params, headers={"Last-Event-ID": first["id"]}
    ) as stream:
        resumed = next(event for event in events(stream.iter_lines()) if "event" in event)
    assert json.loads(resumed["data"])["operation"] == "check_reshape"


def test_a_stream_ends_when_the_server_stops(workers: WorkerPool) -> None:
    ended = threading.Event()
    connected = threading.Event()
    with running_server(workers=workers) as server:

        def read() -> None:
            with httpx.stream("GET", f"{server.base_url}{CALLS}/stream", timeout=30) as stream:
                for _ in stream.iter_lines():
                    connected.set()
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert connected.wait(10)
        begin = time.monotonic()
    assert time.monotonic() - begin < 4
    assert ended.wait(5)
    reader.join()


def test_a_stream_resumed_too_late_reports_the_missed_calls(workers: WorkerPool, calling: Any) -> None:
    few = Settings(journal_calls=3)
    with running_server(few, workers=workers) as server, calling(server, "sk-late") as caller:
        for _ in range(8):
            caller.poll()
        assert [call["number"] for call in caller.calls()] == [6, 7, 8]
        with caller.client.stream("GET", f"{CALLS}/stream", headers={"Last-Event-ID": "2"}) as stream:
            coming = (event for event in events(stream.iter_lines()) if "event" in event)
            assert next(coming) == {"event": "gap", "data": '{"missed": 3}', "id": "5"}
            assert next(coming)["id"] == "6"


def test_a_stream_resumed_after_a_restart_reports_the_missed_calls(
    workers: WorkerPool, calling: Any, tmp_path: Path
) -> None:
    few = Settings(journal_calls=3, data_dir=tmp_path / "data")
    with running_server(few, workers=workers) as server, calling(server, "sk-late") as caller:
        for _ in range(8):
            caller.poll()
    with running_server(few, workers=workers) as server, calling(server, "sk-late") as caller:
        assert first_events(caller, "2", 2) == [
            {"event": "gap", "data": {"missed": 3}, "id": "5"},
            {"event": "call", "data": caller.calls()[0], "id": "6"},
        ]


def test_a_stream_resumed_on_a_new_server_sends_all_calls(workers: WorkerPool, calling: Any) -> None:
    with running_server(workers=workers) as server, calling(server, "sk-reborn") as caller:
        for _ in range(2):
            caller.poll()
        assert first_events(caller, "500", 3) == [
            {"event": "restart", "data": {"last": 2}, "id": "0"},
            *({"event": "call", "data": call, "id": str(call["number"])} for call in caller.calls()),
        ]
        # The id is the last call of this server, so the stream sends no restart and only new calls.
        with caller.client.stream("GET", f"{CALLS}/stream", headers={"Last-Event-ID": "2"}) as stream:
            coming = events(stream.iter_lines())
            next(coming)  # the stream begins with a comment
            caller.poll()
            assert next(coming)["id"] == "3"


def first_events(caller: Any, last_event_id: str, count: int) -> list[dict[str, Any]]:
    """Return the first events of a resumed stream."""
    headers = {"Last-Event-ID": last_event_id}
    with caller.client.stream("GET", f"{CALLS}/stream", headers=headers) as stream:
        coming = (event for event in events(stream.iter_lines()) if "event" in event)
        return [{**event, "data": json.loads(event["data"])} for event in itertools.islice(coming, count)]
