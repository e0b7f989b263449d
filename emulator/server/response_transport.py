"""``ResponseTransport``, which sends the head of a response together with the beginning of its body."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Transport
from collections.abc import Callable

COPIED_BYTES = 64 * 1024
"""Largest part of a body to join to the head. To copy a larger part takes longer than to write two parts."""


class ResponseTransport:
    """The transport of one response on a connection.

    uvicorn writes the head and the body separately. Two small packets take the server and the client twice as
    long as one.

    Parameters
    ----------
    transport : Transport
        Transport of the connection.
    loop : event loop
    note : (status: str) -> None
        Called with the status code of the response when the response begins.
    """

    def __init__(self, transport: Transport, loop: AbstractEventLoop, note: Callable[[str], None]) -> None:
        self._transport = transport
        self._loop = loop
        self._note: Callable[[str], None] | None = note
        self._head = b""

    def write(self, data: bytes) -> None:
        """Write the head, the next part of the body, or an interim response."""
        if self._head:
            head, self._head = self._head, b""
            if len(data) > COPIED_BYTES:
                self._transport.writelines([head, data])
                return
            data = head + data
        elif self._note is not None and data[9:12] != b"100":
            # The note refers to the request, and the request to this object. Without this cycle, the request
            # is freed without the garbage collector.
            note, self._note = self._note, None
            self._head = data
            note(data[9:12].decode("latin-1"))
            # If no body follows at once, as in a stream of events, send the head alone.
            self._loop.call_soon(self.flush)
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Write the head, if it is not written yet."""
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)

    def close(self) -> None:
        """Close the connection after everything is written."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is closing or closed."""
        return self._transport.is_closing()
