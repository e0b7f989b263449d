"""Redirect this process's connections to host names to an emulator.

``redirected`` works for clients that use Python's ``socket`` and ``ssl``: urllib, http.client, requests,
urllib3, httpx, httpx2, aiohttp and niquests, synchronous and asynchronous, on asyncio and uvloop. It also
works for clients, sessions and TLS contexts that were made earlier.

It does not work for

- child processes, and libraries in C that connect by themselves, such as pycurl,
- TLS by pyOpenSSL, rustls or BoringSSL, which urllib3 and niquests can use instead of ``ssl``,
- clients that pin the vendor's certificate by its fingerprint,
- truststore on macOS and Windows, which asks the system whether a certificate is valid,
- proxies that the code gives to urllib3, requests, aiohttp or niquests as an argument. Proxies in environment
  variables are bypassed, and so are all proxies of httpx,
- name servers that the code gives to niquests, which then does not ask the system.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from face_api_emulator.testing.connections import abort, close_earlier, shut_down
from face_api_emulator.testing.interception.classes import SSL_CONTEXT
from face_api_emulator.testing.interception.hosts import normalized
from face_api_emulator.testing.interception.installation import redirecting
from face_api_emulator.testing.interception.protocols import Address
from face_api_emulator.testing.proxies import without_proxies

PLAIN_PORT = 80
"""The port for HTTP without TLS. Connections to all other ports go to the emulator's TLS port."""

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

    Several threads can redirect at once, and blocks can be nested. If several blocks redirect the same name,
    the block that began last applies. Blocks with equal arguments share their connections, which are closed
    when the last block ends.

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
    """A redirect. ``users`` is the number of blocks that use it."""

    def __init__(self, key: _Key) -> None:
        self.users = 0
        self._key = key
        self._routes = {name: _Route(key) for name in key.names}
        self._stack = contextlib.ExitStack()

    def begin(self) -> None:
        """Start redirecting."""
        self._stack.callback(self.close, self._key.names)
        self._stack.enter_context(redirecting(self))
        self._stack.enter_context(without_proxies(self._key.names))
        for other in list(_active.values()):
            other.close(self._key.names)
        close_earlier(self._key.names, frozenset({self._key.plain, self._key.tls}))

    def end(self) -> None:
        """Stop redirecting, and close the redirected connections."""
        self._stack.close()

    def close(self, names: Iterable[str]) -> None:
        """Close the connections to some names."""
        for name in names:
            if name in self._routes:
                self._routes[name].close()

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
    """The route of one name to the emulator, and the connections that were made by this route."""

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
        """Return a context like ``given`` that trusts only the emulator's authority.

        The result is a new context, because an authority that is added to ``given`` could not be removed
        again. ALPN and client certificates are not copied: a context does not reveal them, and the emulator
        does not need them.
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
            abort(transport, loop)
        for sock in sockets:
            shut_down(sock)


def _resolved(address: Address) -> Address:
    """Return an address with its host name resolved, to an IPv4 address if possible."""
    found = socket.getaddrinfo(address[0], address[1], type=socket.SOCK_STREAM)
    best = min(found, key=lambda each: each[0] != socket.AF_INET)
    return str(best[4][0]), address[1]
