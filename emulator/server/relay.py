"""Tunnels of the forward proxy, which pass on the bytes after a ``CONNECT`` request without parsing them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, cast

from emulator.web.proxy import foreign_address, not_served, split_authority

CONNECT_SECONDS = 20.0
"""Longest time to connect to the target of a tunnel, in real seconds."""

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
UNREACHABLE = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
"""The response if the target of a tunnel cannot be reached. This cannot happen for the vendors' names."""


Note = Callable[[HTTPStatus], Awaitable[None]]
"""Records the status of the response to a ``CONNECT`` request."""


class Target(NamedTuple):
    """The address where a tunnel ends. ``is_foreign`` is true if this is not the emulator."""

    host: str
    port: int
    is_foreign: bool


class Connection(Protocol):
    """A connection that is closed when the server stops."""

    def shutdown(self) -> None:
        """Close the connection."""


class Relay:
    """Decides where tunnels lead, and opens them.

    Parameters
    ----------
    names : collection of str
        Host names of the vendors. Tunnels to them end at ``tls``.
    tls : (str, int) or None
        Address of the emulator's own TLS listener; None if TLS is off.
    is_open : bool
        Whether tunnels to other hosts are opened.
    """

    def __init__(
        self, names: Collection[str], tls: tuple[str, int] | None = None, *, is_open: bool = False
    ) -> None:
        self._names = frozenset(names)
        self._tls = tls
        self._is_open = is_open
        self._openings: set[asyncio.Task[None]] = set()

    def target(self, authority: str) -> Target | str:
        """Return where a tunnel to ``authority`` leads, or why it is refused."""
        host, port = split_authority(authority)
        if host in self._names:
            if port != 443:
                return f"the proxy serves {host} on port 443 only"
            if self._tls is None:
                return f"TLS is off; start the emulator with --tls to serve {host}"
            return Target(*self._tls, is_foreign=False)
        if not self._is_open:
            return not_served(authority)
        if not host or port is None:
            return f"{authority} is not a host with a port"
        return Target(host, port, is_foreign=True)

    def open(
        self,
        transport: asyncio.Transport,
        target: Target,
        early: bytes,
        connections: set[Any],
        note: Note | None,
    ) -> None:
        """Pass everything on between the client at ``transport`` and ``target``.

        ``early`` has the bytes that the client has already sent after its request. Both ends of the tunnel
        add themselves to ``connections``. ``note`` is called with the response's status before the response
        is sent.
        """
        transport.pause_reading()
        opening = asyncio.create_task(self._open(transport, target, early, connections, note))
        self._openings.add(opening)
        opening.add_done_callback(self._openings.discard)

    async def _open(
        self,
        transport: asyncio.Transport,
        target: Target,
        early: bytes,
        connections: set[Any],
        note: Note | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        near, far = Pipe(connections), Pipe(connections)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                host = await foreign_address(target.host, target.port) if target.is_foreign else target.host
                await loop.create_connection(lambda: far, host, target.port)
        except OSError:  # includes TimeoutError
            if note is not None:
                await note(HTTPStatus.BAD_GATEWAY)
            transport.write(UNREACHABLE)
            transport.close()
            return
        if note is not None:
            await note(HTTPStatus.OK)
        near.join(far)
        transport.set_protocol(near)
        near.connection_made(transport)
        transport.write(ESTABLISHED)
        if early:
            near.data_received(early)
        transport.resume_reading()


class Pipe(asyncio.Protocol):
    """One end of a tunnel. It writes what it receives to the other end, as fast as the other end can send."""

    def __init__(self, connections: set[Any]) -> None:
        self._connections = connections
        self.transport: asyncio.Transport | None = None
        self._other: Pipe | None = None

    def join(self, other: Pipe) -> None:
        """Make ``other`` the other end."""
        self._other, other._other = other, self

    @property
    def _opposite(self) -> asyncio.Transport | None:
        return None if self._other is None else self._other.transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Add this end to the open connections."""
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Pass data on to the other end."""
        if self._opposite is not None:
            self._opposite.write(data)

    def eof_received(self) -> bool:
        """Pass the end of the data on to the other end. The opposite direction stays open."""
        if self._opposite is not None:
            self._opposite.write_eof()
        return True

    def pause_writing(self) -> None:
        """Stop reading from the other end until this end has sent its data."""
        if self._opposite is not None:
            self._opposite.pause_reading()

    def resume_writing(self) -> None:
        """Read from the other end again, because this end has sent its data."""
        if self._opposite is not None:
            self._opposite.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        """Close the other end."""
        self._connections.discard(self)
        self.transport = None
        if self._opposite is not None:
            self._opposite.close()

    def shutdown(self) -> None:
        """Close this end, because the server stops."""
        if self.transport is not None:
            self.transport.close()
