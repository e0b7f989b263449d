"""``ResponseTransport``."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from emulator.server.response_transport import COPIED_BYTES, ResponseTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class FakeTransport:
    """A transport that remembers what was written: bytes, or a list for bytes that were written together."""

    def __init__(self) -> None:
        self.written: list[bytes | list[bytes]] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        """Remember the data."""
        assert not self.is_closed
        self.written.append(data)

    def writelines(self, parts: list[bytes]) -> None:
        """Remember the parts."""
        assert not self.is_closed
        self.written.append(parts)

    def close(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return self.is_closed


def respond(*steps: bytes | str) -> tuple[FakeTransport, list[str]]:
    """Write bytes, ``pause`` for one pass of the event loop, or ``close``. Return what came of it."""
    fake, noted = FakeTransport(), list[str]()

    async def run() -> None:
        transport = ResponseTransport(cast("Any", fake), asyncio.get_running_loop(), noted.append)
        for step in steps:
            if isinstance(step, bytes):
                transport.write(step)
            elif step == "close":
                transport.close()
                assert transport.is_closing()
            else:
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(run())
    return fake, noted


@pytest.mark.parametrize(
    ("steps", "written"),
    [
        ([HEAD, b"ok"], [HEAD + b"ok"]),
        ([HEAD, b"ok", b"more"], [HEAD + b"ok", b"more"]),
        ([HEAD], [HEAD]),
        ([HEAD, "pause", b"event"], [HEAD, b"event"]),
        ([HEAD, b""], [HEAD]),
        ([HEAD, bytes(COPIED_BYTES)], [HEAD + bytes(COPIED_BYTES)]),
        ([HEAD, bytes(COPIED_BYTES + 1)], [[HEAD, bytes(COPIED_BYTES + 1)]]),
        ([HEAD, bytes(COPIED_BYTES + 1), b"more"], [[HEAD, bytes(COPIED_BYTES + 1)], b"more"]),
        ([HEAD, "close"], [HEAD]),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", HEAD, b"ok"], [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"ok"]),
    ],
)
def test_the_head_is_sent_with_the_body_that_follows_at_once(
    steps: list[bytes | str], written: list[bytes | list[bytes]]
) -> None:
    fake, noted = respond(*steps)
    assert fake.written == written
    assert noted == ["200"]
    assert fake.is_closed == ("close" in steps)
