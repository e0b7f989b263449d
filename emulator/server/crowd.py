"""The limit on open connections, which also counts TLS connections during the handshake."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import BaseTransport, Transport
from collections.abc import Callable
from typing import Any, Protocol, cast

HANDSHAKE_SECONDS = 20.0
"""Longest time of a TLS handshake, in real seconds."""

REFUSED_AT_ONCE = 64
"""Largest number of connections above the limit that get a response before they are closed."""


class Member(Protocol):
    """A connection that counts towards the limit."""

    transport: Transport


class Crowd:
    """The open connections of a server.

    If there are too many, the connection that has been idle for longest is closed. So connections that send
    nothing, or only the beginning of a request, cannot make the server unreachable. A connection is idle
    until it has sent the complete head of a request, and again after the response.

    Parameters
    ----------
    most : int
        The largest number of connections.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._idle: dict[Any, None] = {}

    def admit(self, member: Member, connections: set[Any]) -> bool:
        """Admit a connection from ``connections``. Return False if there are too many and none is idle."""
        if len(connections) > self._most:
            if not self._idle:
                return False
            longest = next(iter(self._idle))
            del self._idle[longest]
            connections.discard(longest)
            # Closing sends the rest of a response that the client has not read yet.
            transport = longest.transport
            transport.close() if transport.get_write_buffer_size() else transport.abort()
        self._idle[member] = None
        return True

    def has_room_to_refuse(self, connections: set[Any]) -> bool:
        """Return whether a refused connection may stay open until its client has read the response."""
        return len(connections) <= self._most + REFUSED_AT_ONCE

    def note_idle(self, member: Member) -> None:
        """Record that a connection waits for a request."""
        self._idle.setdefault(member)

    def note_busy(self, member: Member) -> None:
        """Record that a connection waits for a response, or has ended."""
        self._idle.pop(member, None)


class Greeting(asyncio.Protocol):
    """A TLS connection during its handshake. It counts as idle.

    asyncio's own TLS servers report a connection only after its handshake, so it could not be counted.

    Parameters
    ----------
    make : callable
        Returns the protocol of the connection after the handshake.
    context : SSLContext
        The certificates.
    crowd : Crowd
        The limit on open connections.
    connections : set
        All open connections.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        crowd: Crowd,
        connections: set[Any],
    ) -> None:
        self._make = make
        self._context = context
        self._crowd = crowd
        self._connections = connections
        self._early: list[bytes] = []
        self._has_ended = False
        self._shaking: asyncio.Task[None] | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin the handshake."""
        self.transport = cast("Transport", transport)
        self._connections.add(self)
        if self._crowd.admit(self, self._connections):
            self._shaking = asyncio.get_running_loop().create_task(self._shake())
        else:
            self._connections.discard(self)
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Keep data that arrives before the next protocol is set."""
        self._early.append(data)

    def connection_lost(self, _error: Exception | None) -> None:
        """Record that the connection was closed before the next protocol was set."""
        self._has_ended = True

    def shutdown(self) -> None:
        """Close the connection when the server stops."""
        self.transport.abort()

    async def _shake(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                self.transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except OSError:  # the client speaks no TLS, has left, or is too slow
            self.transport.abort()
            return
        finally:
            self._crowd.note_busy(self)
            self._connections.discard(self)
        if secured is None or self._has_ended:
            return
        protocol = self._make()
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        for data in self._early:
            protocol.data_received(data)
