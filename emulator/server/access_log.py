"""``AccessLog``, which writes a line for each response."""

from __future__ import annotations

import asyncio
import time
from typing import TextIO

from emulator.clock import machine_time

FLUSH_SECONDS = 0.05
"""Longest time until the line of a response is written, in real seconds."""


class AccessLog:
    """Writes the time, the client, the request and the status of each response.

    Lines are written together, at most ``FLUSH_SECONDS`` later. The module `logging` would take a fifteenth
    of the time of a poll. Queries are left out, because they can contain keys and signatures.

    Parameters
    ----------
    stream : text file
        Receives the lines.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._second, self._time = -1, ""

    def note(self, client: str, method: str, path: str, version: str, status: str) -> None:
        """Add the line of a response. Call this in an event loop."""
        second = int(machine_time())
        if second != self._second:
            self._second, self._time = second, time.strftime("%H:%M:%S", time.localtime(second))
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._lines.append(f'{self._time} {client} - "{method} {path} HTTP/{version}" {status}\n')

    def flush(self) -> None:
        """Write all lines that are not written yet."""
        text = "".join(self._lines)
        self._lines.clear()
        self._stream.write(text)
        self._stream.flush()
