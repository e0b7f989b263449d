"""``AccessLog``."""

from __future__ import annotations

import asyncio
import io
import re

import pytest

from emulator.server import access_log
from emulator.server.access_log import AccessLog


class CountingStream(io.StringIO):
    """A stream that counts its writes, and sets an event at the first."""

    writes = 0

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        """Write and count."""
        self.writes += 1
        self.written.set()
        return super().write(text)


def test_lines_of_the_same_moment_are_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "FLUSH_SECONDS", 0.001)
    stream = CountingStream()

    async def note() -> None:
        log = AccessLog(stream)
        for number in range(3):
            log.note("10.0.0.1:5", "GET", f"/{number}", "1.1", "200")
        assert stream.getvalue() == ""
        await stream.written.wait()
        log.note("10.0.0.1:5", "POST", "/late", "1.0", "404")
        log.flush()

    asyncio.run(note())
    lines = stream.getvalue().splitlines()
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines] == [
        '10.0.0.1:5 - "GET /0 HTTP/1.1" 200',
        '10.0.0.1:5 - "GET /1 HTTP/1.1" 200',
        '10.0.0.1:5 - "GET /2 HTTP/1.1" 200',
        '10.0.0.1:5 - "POST /late HTTP/1.0" 404',
    ]
    assert stream.writes == 2


def test_the_time_is_that_of_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.9, 1.1, 61.0])
    monkeypatch.setattr(access_log, "machine_time", lambda: next(moments))
    stream = io.StringIO()

    async def note() -> None:
        log = AccessLog(stream)
        for _ in range(3):
            log.note("", "GET", "/", "1.1", "200")
        log.flush()

    asyncio.run(note())
    seconds = [line[6:8] for line in stream.getvalue().splitlines()]
    minutes = [line[3:5] for line in stream.getvalue().splitlines()]
    assert seconds == ["00", "01", "01"]
    assert int(minutes[2]) == (int(minutes[0]) + 1) % 60
