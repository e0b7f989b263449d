"""The whole bodies of recent calls, kept in memory on request.

The journal has only the digests of pictures. With the bodies, a tester can look at the pictures of a call,
and send the call again. Nothing is kept until a limit is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.backends.stateful import Stateful

OVERHEAD = 1000
"""Approximate number of bytes for the headers of a kept call."""


@dataclass(eq=False)
class RawCall:
    """The unchanged request and response of a call.

    Attributes
    ----------
    sent, answer : bytearray
        Request body and response body.
    limit : int
        Largest number of bytes to keep of both.
    scope : mapping
        The members of the request's ASGI scope that the journal keeps.
    credential : str or None
        Unmasked credential of the caller.
    """

    limit: int
    sent: bytearray = field(default_factory=bytearray)
    answer: bytearray = field(default_factory=bytearray)
    scope: Mapping[str, Any] = field(default_factory=dict)
    credential: str | None = None
    is_too_large: bool = False

    def take(self, kept: bytearray, chunk: bytes) -> None:
        """Append a chunk to ``sent`` or ``answer``. Drop both if they are longer than the limit."""
        if len(self.sent) + len(self.answer) + len(chunk) > self.limit:
            self.is_too_large = True
            self.sent.clear()
            self.answer.clear()
        if not self.is_too_large:
            kept += chunk

    @property
    def held_bytes(self) -> int:
        """Approximate number of bytes in memory."""
        return OVERHEAD + len(self.sent) + len(self.answer)


class Bodies(Stateful):
    """The bodies of the newest calls, with a limit on their total bytes."""

    def __init__(self) -> None:
        self._limit = 0
        self._held = 0
        self._calls: dict[int, RawCall] = {}

    @property
    def limit(self) -> int:
        """Largest total of the kept bytes; 0 if nothing is kept."""
        return self._limit

    @property
    def held_bytes(self) -> int:
        """Approximate number of bytes that are kept now."""
        return self._held

    @property
    def numbers(self) -> list[int]:
        """Numbers of the calls with kept bodies, oldest first."""
        return list(self._calls)

    def set_limit(self, limit: int) -> None:
        """Keep at most ``limit`` bytes from now on. With 0, delete everything and keep nothing."""
        self._limit = limit
        self._shrink()

    def begin(self) -> RawCall | None:
        """Return a new call to fill, or None if nothing is kept."""
        return RawCall(self._limit) if self._limit else None

    def put(self, number: int, call: RawCall) -> None:
        """Keep the bodies of a finished call, and delete the oldest bodies above the limit."""
        if call.is_too_large or not self._limit:
            return
        self._calls[number] = call
        self._held += call.held_bytes
        self._shrink()

    def get(self, number: int) -> RawCall | None:
        """Return a call, or None if its bodies are not kept."""
        return self._calls.get(number)

    async def load(self) -> None:
        """Delete all bodies, because after a restore, other calls have their numbers."""
        self.clear()

    def clear(self) -> None:
        """Delete all bodies."""
        self._calls.clear()
        self._held = 0

    async def forget(self, credential: str | None) -> None:
        """Delete the bodies of the calls of ``credential``, or all bodies if it is None."""
        self._calls = {
            number: call
            for number, call in self._calls.items()
            if credential is not None and call.credential != credential
        }
        self._held = sum(call.held_bytes for call in self._calls.values())

    def _shrink(self) -> None:
        while self._calls and self._held > self._limit:
            oldest = next(iter(self._calls))
            self._held -= self._calls.pop(oldest).held_bytes
