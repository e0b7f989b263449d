"""Redirect this process's connections to host names to an emulator.

``redirected`` works for clients that use Python's ``socket`` and ``ssl``: urllib, http.client, requests,
urllib3, httpx, httpx2, aiohttp and niquests, synchronous and asynchronous, on asyncio and uvloop. It also
works for clients, sessions and TLS contexts that were made earlier.

It does not work for

- child processes, and libraries in C that connect by themselves, such as pycurl,
- TLS by pyOpenSSL, rustls or BoringSSL, which urllib3 and niquests can use instead of ``ssl``,
- clients that pin the vendor's certificate by its fingerprint,
- truststore on macOS and Windows, which asks the system whether a certificate is valid,
- proxies that the code gives to urllib3, requests, aiohttp or niquests as an argument. The variables of the
  environment are covered, and so are all proxies of httpx,
- name servers that the code gives to niquests, which then does not ask the system.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import os
import socket
import ssl
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.testing.interception.classes import SSL_CONTEXT
from emulator.testing.interception.hosts import INTERNET, normalized
from emulator.testing.interception.installation import redirecting
from emulator.testing.interception.protocols import Address

PLAIN_PORT = 80
"""The port for HTTP without TLS. All other ports lead to the emulator's TLS port."""

NO_PROXY = ("no_proxy", "NO_PROXY")

WITHOUT_CRL = ~(ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF | ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN)


@contextlib.contextmanager
def redirected(hosts: Iterable[str], *, plain: Address, tls: Address, ca: str) -> Iterator[None]:
    """Redirect all connections of this process to ``hosts`` to an emulator, for the duration of the block.

    Connections to port 80 go to ``plain``, and those to all other ports go to ``tls``. For these names,
    clients trust the emulator's certificate authority instead of their own roots. They verify certificates
    as before: the modes and flags of their contexts stay in force. Proxies in the environment are not used.

    At the beginning, earlier connections to the names are closed, so that a pool cannot use them. Connections
    without TLS can only be recognised if they belong to http.client, requests or urllib3. At the end, all
    redirected connections are closed.

    Several threads can redirect at once, and blocks can be nested. The block that began last decides about a
    name. Blocks with equal arguments share their connections, which are closed when the last block ends.

    Parameters
    ----------
    hosts : iterable of str
        Host names, without a port.
    plain, tls : tuple of str and int
        Host and port of the emulator for HTTP without and with TLS.
    ca : str
        Certificate of the emulator's authority, in PEM.

    Raises
    ------
    OSError
        If the emulator's host cannot be resolved.
    """
    names = frozenset(map(normalized, hosts))
    key = _Key(names, _resolved(plain), _resolved(tls), ca)
    with _lock:
        redirect = _active.get(key)
        if redirect is None:
            redirect = _Redirect(key)
            try:
                redirect.begin()
            except BaseException:
                redirect.end()
                raise
            _active[key] = redirect
        redirect.users += 1
    try:
        yield
    finally:
        with _lock:
            redirect.users -= 1
            if not redirect.users:
                del _active[key]
                redirect.end()


@dataclass(frozen=True)
class _Key:
    """The arguments of ``redirected``. Blocks with equal arguments share one redirect."""

    names: frozenset[str]
    plain: Address
    tls: Address
    ca: str


class _Redirect:
    """A redirect, and how many blocks use it."""

    def __init__(self, key: _Key) -> None:
        self.users = 0
        self._key = key
        self._routes = {name: _Route(key) for name in key.names}
        self._stack = contextlib.ExitStack()

    def begin(self) -> None:
        """Redirect from now on."""
        self._stack.callback(self._close)
        self._stack.enter_context(redirecting(self))
        self._stack.enter_context(_without_proxies(self._key.names))
        for other in list(_active.values()):
            other.close(self._key.names)
        _close_earlier(self._key)

    def end(self) -> None:
        """Stop redirecting, and close the redirected connections."""
        self._stack.close()

    def close(self, names: Iterable[str]) -> None:
        """Close the connections to some names."""
        for name in names:
            if name in self._routes:
                self._routes[name].close()

    def _close(self) -> None:
        self.close(self._key.names)

    def route(self, name: str) -> _Route | None:
        """Return the route of a name."""
        return self._routes.get(name)

    def routes(self) -> Sequence[_Route]:
        """Return all routes."""
        return tuple(self._routes.values())

    def is_target(self, host: str, port: int | None) -> bool:
        """Return whether this is an address of the emulator."""
        return (host.removeprefix("::ffff:"), port) in {self._key.plain, self._key.tls}


_lock = threading.RLock()
_active: dict[_Key, _Redirect] = {}


class _Route:
    """The way from one name to the emulator, and the connections that took it."""

    def __init__(self, key: _Key) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._sockets = weakref.WeakSet[socket.socket]()
        self._transports = weakref.WeakKeyDictionary[Any, asyncio.AbstractEventLoop]()
        self._others: list[tuple[Any, asyncio.AbstractEventLoop]] = []

    def address(self, port: int) -> Address:
        """Return the emulator's address for a port of the name."""
        return self._key.plain if port == PLAIN_PORT else self._key.tls

    def context(self, given: ssl.SSLContext) -> ssl.SSLContext:
        """Return a context like the client's that only trusts the emulator's authority.

        Adding the authority to the client's context could not be undone. The new context has no ALPN and no
        client certificate, because contexts do not reveal theirs. The emulator needs neither.
        """
        context: ssl.SSLContext = SSL_CONTEXT(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = given.verify_mode
        context.check_hostname = given.check_hostname
        # The emulator's authority has no revocation list.
        context.verify_flags = given.verify_flags & WITHOUT_CRL
        context.hostname_checks_common_name = given.hostname_checks_common_name
        # Setting an older version would warn.
        if given.minimum_version >= ssl.TLSVersion.TLSv1_2:
            context.minimum_version = given.minimum_version
        if given.maximum_version >= ssl.TLSVersion.TLSv1_2:
            context.maximum_version = given.maximum_version
        if given.keylog_filename:
            context.keylog_filename = given.keylog_filename
        context.sslsocket_class = given.sslsocket_class
        context.sslobject_class = given.sslobject_class
        context.load_verify_locations(cadata=self._key.ca)
        return context

    def add(self, sock: socket.socket) -> None:
        """Remember a connection."""
        with self._lock:
            self._sockets.add(sock)

    def add_transport(self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> None:
        """Remember the transport of a connection."""
        with self._lock:
            try:
                self._transports[transport] = loop
            except TypeError:
                # uvloop's TLS transports have no weak references.
                self._others = [each for each in self._others if not each[0].is_closing()]
                self._others.append((transport, loop))

    def has(self, sock: socket.socket) -> bool:
        """Return whether the connection was remembered."""
        with self._lock:
            return sock in self._sockets

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            transports, sockets = [*self._transports.items(), *self._others], list(self._sockets)
            self._transports.clear()
            self._others.clear()
            self._sockets.clear()
        for transport, loop in transports:
            _abort(transport, loop)
        for sock in sockets:
            _shut_down(sock)


def _resolved(address: Address) -> Address:
    """Return an address with an IP address in place of a name, if possible of IPv4."""
    found = socket.getaddrinfo(address[0], address[1], type=socket.SOCK_STREAM)
    best = min(found, key=lambda each: each[0] != socket.AF_INET)
    return str(best[4][0]), address[1]


# Closing connections


def _shut_down(sock: Any) -> None:
    """End a connection, so that its owner finds it closed. The owner still has to close the socket."""
    # Not the socket's own method, because TLS sockets would lose their state, and uvloop's cannot do it.
    with (
        contextlib.suppress(OSError, ValueError),
        socket.socket(fileno=_duplicate(sock.fileno())) as same,
    ):
        same.shutdown(socket.SHUT_RDWR)


def _abort(transport: Any, loop: asyncio.AbstractEventLoop | None) -> None:
    """Abort an asynchronous connection, in the thread of its loop.

    A pool notices this at once. It would only notice the end of the connection when the loop has run.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None:
        _shut_down(sock)
    if loop is None or loop.is_closed():
        return
    # The loop can be closed meanwhile.
    with contextlib.suppress(RuntimeError):
        if loop.is_running() and not _is_here(loop):
            loop.call_soon_threadsafe(transport.abort)
        else:
            transport.abort()


def _is_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop runs in this thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


# On Windows, sockets are not files.
_duplicate: Callable[[int], int] = getattr(socket, "dup", os.dup)


Close = Callable[[Any, frozenset[str]], None]


def _close_earlier(key: _Key) -> None:
    """Close the connections to the names that this process already has.

    No library lists its connections, so this looks at all objects. That takes some milliseconds, and is only
    done if the process has connections.
    """
    if not _has_connections({key.plain, key.tls}):
        return
    closers = _closers()
    for each in [each for each in gc.get_objects() if type(each) in closers]:
        # Some objects are not initialised, or have been closed meanwhile.
        with contextlib.suppress(AttributeError, LookupError):
            closers[type(each)](each, key.names)


def _has_connections(known: set[Address]) -> bool:
    """Return whether the process has TCP connections, except with the emulator itself."""
    try:
        descriptors = [path.name for path in Path("/dev/fd").iterdir()]
    except OSError:
        return True
    for each in descriptors:
        with contextlib.suppress(OSError, ValueError):
            copy = os.dup(int(each))
            try:
                sock = socket.socket(fileno=copy)
            except OSError:
                os.close(copy)
                continue
            with sock:
                if sock.family in INTERNET and sock.type == socket.SOCK_STREAM:
                    ends = {sock.getpeername()[:2], sock.getsockname()[:2]}
                    if not ends & known:
                        return True
    return False


def _closers() -> dict[type, Close]:
    """Return the types of all connections, and the functions that close them."""
    closers: dict[type, Close] = {}

    def add(kind: type | None, close: Close) -> None:
        subclasses: list[type] = [] if kind is None else kind.__subclasses__()
        for each in subclasses:
            add(each, close)
        if kind is not None:
            closers[kind] = close

    def find(module: str, name: str) -> type | None:
        return getattr(sys.modules.get(module), name, None)

    add(http.client.HTTPConnection, _close_http)
    add(ssl.SSLSocket, _close_tls)
    add(find("anyio.streams.tls", "TLSStream"), _close_stream)
    for module in ("asyncio.sslproto", "uvloop.loop"):
        add(find(module, "_SSLProtocolTransport"), _close_transport)
    return closers


def _close_http(connection: http.client.HTTPConnection, names: frozenset[str]) -> None:
    hosts = {normalized(connection.host), normalized(getattr(connection, "_tunnel_host", None))}
    if connection.sock is not None and hosts & names:
        _shut_down(connection.sock)
        # It connects again for the next request.
        connection.close()


def _close_tls(sock: ssl.SSLSocket, names: frozenset[str]) -> None:
    if normalized(sock.server_hostname) in names:
        _shut_down(sock)


def _close_transport(transport: Any, names: frozenset[str]) -> None:
    if normalized(transport.get_extra_info("ssl_object").server_hostname) in names:
        # uvloop's transports do not reveal their loop, but most protocols do.
        loops = (getattr(each, "_loop", None) for each in (transport, transport.get_protocol()))
        _abort(transport, next(filter(None, loops), None))


def _close_stream(stream: Any, names: frozenset[str]) -> None:
    if normalized(stream._ssl_object.server_hostname) in names:  # noqa: SLF001 - anyio hides it
        raw = sys.modules["anyio.abc"].SocketAttribute.raw_socket
        _shut_down(stream.extra(raw))  # noqa: S610 - not Django's


# Proxies


@contextlib.contextmanager
def _without_proxies(names: frozenset[str]) -> Iterator[None]:
    """Add names to the variables that list the hosts without a proxy."""
    added = ",".join(sorted(names))
    befores: dict[str, str | None] = {}
    for variable in NO_PROXY:
        before = os.environ.get(variable)
        # A star means all hosts.
        if before != "*" and added:
            befores[variable] = before
            os.environ[variable] = _joined(before, added)
    try:
        yield
    finally:
        for variable, before in befores.items():
            now = os.environ.get(variable)
            # Other redirects, and the test, may have changed the variable meanwhile.
            after = before if now == _joined(before, added) else _removed(now, added)
            if after is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = after


def _joined(before: str | None, added: str) -> str:
    return f"{before},{added}" if before else added


def _removed(now: str | None, added: str) -> str | None:
    """Return the list without the names that were added, and None for an empty list."""
    if now is None or f",{added}," not in f",{now},":
        return now
    return f",{now},".replace(f",{added},", ",", 1).strip(",") or None
