"""Interception of this process's connections, for ``redirect`` and ``seal``.

The patches are installed for the first redirect or seal, and removed after the last one. They are in the
places that all clients use:

- ``_socket.getaddrinfo`` and ``gethostbyname`` resolve names. A redirected name gets an address of its own in
  127.77.0.0/16, where nothing listens. A client can keep the address and the port apart, as anyio does.
- ``connect`` of the Python class ``socket.socket`` replaces that address by the emulator's.
- ``SSLContext.wrap_socket`` and ``wrap_bio`` start TLS.
- ``create_connection`` and ``getaddrinfo`` of the event loops, because uvloop does not use Python's sockets.
- aiohttp's lookups, because it caches addresses, and may use a resolver of its own.
- The proxies of httpcore, because httpx reads the environment when a client is made.

Libraries that are imported later are patched when they are imported.
"""

from __future__ import annotations

import _socket
import _ssl
import asyncio
import contextlib
import copy
import functools
import importlib.abc
import ipaddress
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Protocol, TypeVar, cast

Address = tuple[str, int]

INTERNET = (socket.AF_INET, socket.AF_INET6)


class Route(Protocol):
    """Where the connections to a redirected name go."""

    def address(self, port: int) -> Address:
        """Return the address and port to connect to, for a port of the name."""

    def context(self, given: ssl.SSLContext) -> ssl.SSLContext:
        """Return the TLS context to use in place of the client's."""

    def add(self, sock: socket.socket) -> None:
        """Remember a connection, to end it with the redirect."""

    def add_transport(self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> None:
        """Remember the transport of a connection, to end it with the redirect."""

    def has(self, sock: socket.socket) -> bool:
        """Return whether the connection was remembered."""


class Redirector(Protocol):
    """Finds the routes of names."""

    def route(self, name: str) -> Route | None:
        """Return the route of a normalised name."""

    def routes(self) -> Sequence[Route]:
        """Return all routes."""

    def is_target(self, host: str, port: int | None) -> bool:
        """Return whether this is an address of the emulator."""


class Watcher(Protocol):
    """Checks names and addresses that are not redirected."""

    def lookup(self, host: str, port: int | None) -> None:
        """Raise an ``OSError`` if the process may not look up the name."""

    def connect(self, host: str, port: int | None) -> None:
        """Raise an ``OSError`` if the process may not reach the address or name."""

    def found(self, host: str, addresses: Sequence[str]) -> None:
        """Learn the addresses of a name that was looked up."""


_lock = threading.RLock()
_redirectors: tuple[Redirector, ...] = ()
_watchers: tuple[Watcher, ...] = ()

_names: list[str] = []
"""Names that have ever been redirected. The index determines the address, so cached addresses stay valid."""


@contextlib.contextmanager
def redirecting(redirector: Redirector) -> Iterator[None]:
    """Ask ``redirector`` for routes, before those that were added earlier."""
    global _redirectors  # noqa: PLW0603 - the patches are global as well
    with _lock:
        _redirectors = (redirector, *_redirectors)
        _update()
    try:
        yield
    finally:
        with _lock:
            _redirectors = tuple(each for each in _redirectors if each is not redirector)
            _update()


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Let ``watcher`` check all names and addresses that are not redirected."""
    global _watchers  # noqa: PLW0603 - the patches are global as well
    with _lock:
        _watchers = (*_watchers, watcher)
        _update()
    try:
        yield
    finally:
        with _lock:
            _watchers = tuple(each for each in _watchers if each is not watcher)
            _update()


def normalized(host: object) -> str:
    """Return a host name as text in lower case, without the final dot."""
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("ascii", "replace")
    return host.lower().removesuffix(".") if isinstance(host, str) else ""


def check_lookup(host: object, port: object) -> None:
    """Ask all watchers whether the process may look up a name, unless it is redirected."""
    if _watchers and _find(host) is None:
        _ask(lambda watcher: watcher.lookup(_text(host), _number(port)))


def check_connect(address: object) -> None:
    """Ask all watchers whether the process may reach an address, unless it is the emulator's."""
    if not _watchers or not isinstance(address, tuple) or len(address) < 2:
        return
    host, port = _text(address[0]), _number(address[1])
    if any(redirector.is_target(host, port) for redirector in _redirectors):
        return
    _ask(lambda watcher: watcher.connect(host, port))


def _ask(check: Callable[[Watcher], None]) -> None:
    """Ask all watchers, so that each can record an attempt, and raise the first error."""
    errors = []
    for watcher in _watchers:
        try:
            check(watcher)
        except OSError as error:
            errors.append(error)
    if errors:
        raise errors[0]


# Routes and addresses


def _text(host: object) -> str:
    return bytes(host).decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host or "")


def _number(port: object) -> int | None:
    with contextlib.suppress(TypeError, ValueError):
        return int(cast("Any", port))
    if isinstance(port, str):
        with contextlib.suppress(OSError):
            return socket.getservbyname(port)
    return None


def _find(host: object) -> tuple[str, Route] | None:
    """Return the redirected name and its route, for a name or for the address that stands for it."""
    if not _redirectors:
        return None
    name = normalized(host)
    name = _name_of(name) or name
    for redirector in _redirectors:
        route = redirector.route(name)
        if route is not None:
            return name, route
    return None


def _stand_in(name: str, route: Route, family: int) -> str:
    """Return the address that stands for a name in an address family."""
    with _lock:
        if name not in _names:
            _names.append(name)
        high, low = divmod(_names.index(name) + 1, 250)
    if ":" in route.address(443)[0]:
        if family == socket.AF_INET:
            raise socket.gaierror(socket.EAI_NONAME, "the emulator has only an IPv6 address")
        # These addresses are for discarding, see RFC 6666.
        return f"100::{high:x}:{low:x}"
    return f"{'::ffff:' if family == socket.AF_INET6 else ''}127.77.{high}.{low + 1}"


def _name_of(address: str) -> str | None:
    """Return the name for which an address stands."""
    four = address.removeprefix("::ffff:")
    if not four.startswith(("127.77.", "100::")):
        return None
    try:
        packed = ipaddress.ip_address(four).packed
    except ValueError:
        return None
    index = (
        packed[2] * 250 + packed[3] - 2
        if len(packed) == 4
        else int.from_bytes(packed[12:14]) * 250 + int.from_bytes(packed[14:16]) - 1
    )
    return _names[index] if 0 <= index < len(_names) else None


def _destination(sock: socket.socket, address: Any) -> Any:
    """Return the address to connect a socket to."""
    if sock.family not in INTERNET or not isinstance(address, tuple) or len(address) < 2:
        return address
    found = _find(address[0])
    if found is None:
        check_connect(address)
        return address
    # This includes datagrams. No server receives them, so clients of HTTP/3 use TCP instead.
    host, port = found[1].address(_number(address[1]) or 0)
    found[1].add(sock)
    if sock.family == socket.AF_INET6 and ":" not in host:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        host = f"::ffff:{host}"
    return host, port


def _check_message(sock: socket.socket, address: Any) -> None:
    """Check the destination of a datagram."""
    if sock.family not in INTERNET or not isinstance(address, tuple) or len(address) < 2:
        return
    found = _find(address[0])
    if found is not None:
        raise ConnectionRefusedError(f"{found[0]} is redirected to an emulator, which only supports TCP")
    check_connect(address)


def _found(host: object, addresses: Sequence[str]) -> None:
    for watcher in _watchers:
        watcher.found(_text(host), addresses)


# Patches

Make = Callable[[Callable[..., Any]], Callable[..., Any]]

_MISSING = object()
_Class = TypeVar("_Class", bound=type)


def _from_module(base: type, module: str, default: _Class) -> _Class:
    """Return the standard library's subclass of ``base``, also if another package has replaced it."""
    classes: list[type] = base.__subclasses__()
    for each in classes:
        if each.__module__ == module and each.__name__ == default.__name__:
            return cast("_Class", each)
    return default


SOCKET = _from_module(_socket.socket, "socket", socket.socket)
SSL_CONTEXT = _from_module(_ssl._SSLContext, "ssl", ssl.SSLContext)  # noqa: SLF001 - the base has no other name


class _Patch:
    """A replaced attribute. Undoing it leaves the attribute alone if somebody else has replaced it since."""

    def __init__(self, owner: Any, name: str, make: Make) -> None:
        self._owner, self._name = owner, name
        self._before = vars(owner).get(name, _MISSING)
        original = getattr(owner, name)
        self._after = functools.wraps(original)(make(original))
        setattr(owner, name, self._after)

    def undo(self) -> None:
        """Restore the attribute."""
        if vars(self._owner).get(self._name) is not self._after:
            return
        if self._before is _MISSING:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._before)


_patches: list[_Patch] = []


def _update() -> None:
    """Install or undo the patches, depending on whether anybody uses them."""
    if not (_redirectors or _watchers):
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(_FINDER)
        while _patches:
            _patches.pop().undo()
    elif not _patches:
        _patches.extend(_Patch(owner, name, make) for owner, name, make in _standard_library())
        # The finder comes first, so that no library is imported between the two steps.
        sys.meta_path.insert(0, _FINDER)
        for name in _LIBRARIES:
            module = sys.modules.get(name)
            # While another thread imports a module, the module does not have its classes yet.
            if module is not None and not getattr(module.__spec__, "_initializing", False):
                _patch_library(name, module)


def _patch_library(name: str, module: ModuleType) -> None:
    with _lock:
        if _redirectors or _watchers:
            _patches.extend(_Patch(owner, each, make) for owner, each, make in _LIBRARIES[name](module))


class _Finder(importlib.abc.MetaPathFinder):
    """Patches libraries when they are imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec, with a loader that also patches the module."""
        if fullname not in _LIBRARIES:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """The loader of a module, which also patches the module."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the new module."""
        spec.loader = self._loader
        module: ModuleType | None = self._loader.create_module(spec)
        spec.loader = self
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, and patch it."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _patch_library(module.__name__, module)


_FINDER = _Finder()


def _standard_library() -> Iterator[tuple[Any, str, Make]]:
    yield _socket, "getaddrinfo", _getaddrinfo
    yield socket, "gethostbyname", _gethostbyname
    yield socket, "gethostbyname_ex", _gethostbyname_ex
    yield socket, "getnameinfo", _getnameinfo
    yield SOCKET, "connect", _connect
    yield SOCKET, "connect_ex", _connect
    yield SOCKET, "sendto", _sendto
    if hasattr(SOCKET, "sendmsg"):
        yield SOCKET, "sendmsg", _sendmsg
    yield SSL_CONTEXT, "wrap_socket", _wrap_socket
    yield SSL_CONTEXT, "wrap_bio", _wrap_bio
    yield asyncio.BaseEventLoop, "create_connection", _create_connection
    yield asyncio.BaseEventLoop, "getaddrinfo", _loop_getaddrinfo
    if sys.platform == "win32":
        from asyncio.proactor_events import BaseProactorEventLoop  # noqa: PLC0415 - exists only there

        # This loop does not call the socket's ``connect``.
        yield BaseProactorEventLoop, "sock_connect", _sock_connect


def _of_uvloop(module: ModuleType) -> Iterator[tuple[Any, str, Make]]:
    yield module.Loop, "create_connection", _create_connection
    yield module.Loop, "getaddrinfo", _loop_getaddrinfo
    yield module.Loop, "create_datagram_endpoint", _create_datagram_endpoint


def _of_aiohttp(module: ModuleType) -> Iterator[tuple[Any, str, Make]]:
    yield module.TCPConnector, "_resolve_host", _resolve_host


def _of_httpcore(module: ModuleType) -> Iterator[tuple[Any, str, Make]]:
    for prefix in ("", "Async"):
        pool = getattr(module, f"{prefix}ConnectionPool")
        direct = pool.create_connection
        for name in ("HTTPProxy", "SOCKSProxy", "ConnectionPool"):
            proxy = getattr(module, prefix + name, None)
            # Without the optional package for SOCKS, the class is a stub that only raises.
            if proxy is not None and issubclass(proxy, pool):
                yield proxy, "create_connection", functools.partial(_create_pooled, direct)


_LIBRARIES: dict[str, Callable[[ModuleType], Iterator[tuple[Any, str, Make]]]] = {
    "uvloop": _of_uvloop,
    "aiohttp.connector": _of_aiohttp,
    "httpcore": _of_httpcore,
    "httpcore2": _of_httpcore,
}


def _getaddrinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(
        host: Any,
        port: Any,
        family: int = 0,
        type: int = 0,  # noqa: A002 - as in socket
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        found = None if flags & socket.AI_NUMERICHOST else _find(host)
        if found is not None:
            name, route = found
            results = original(_stand_in(name, route, family), port, family, type, proto, flags)
            return [(*result[:3], result[3] and name, result[4]) for result in results]
        check_lookup(host, port)
        results = original(host, port, family, type, proto, flags)
        _found(host, [result[4][0] for result in results])
        return cast("list[Any]", results)

    return getaddrinfo


def _gethostbyname(original: Callable[..., Any]) -> Callable[..., Any]:
    def gethostbyname(host: Any) -> Any:
        found = _find(host)
        if found is not None:
            return _stand_in(*found, socket.AF_INET)
        check_lookup(host, None)
        address = original(host)
        _found(host, [address])
        return address

    return gethostbyname


def _gethostbyname_ex(original: Callable[..., Any]) -> Callable[..., Any]:
    def gethostbyname_ex(host: Any) -> Any:
        found = _find(host)
        if found is not None:
            return found[0], [], [_stand_in(*found, socket.AF_INET)]
        check_lookup(host, None)
        results = original(host)
        _found(host, results[2])
        return results

    return gethostbyname_ex


def _getnameinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    def getnameinfo(address: Any, flags: int) -> Any:
        # With this flag, the call formats the address, and asks no name server.
        if not flags & socket.NI_NUMERICHOST:
            check_connect(address)
        return original(address, flags)

    return getnameinfo


def _connect(original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any, /) -> Any:
        return original(self, _destination(self, address))

    return connect


def _sendto(original: Callable[..., Any]) -> Callable[..., Any]:
    def sendto(self: socket.socket, *arguments: Any) -> Any:
        if len(arguments) > 1:
            _check_message(self, arguments[-1])
        return original(self, *arguments)

    return sendto


def _sendmsg(original: Callable[..., Any]) -> Callable[..., Any]:
    def sendmsg(self: socket.socket, *arguments: Any) -> Any:
        if len(arguments) == 4:
            _check_message(self, arguments[3])
        return original(self, *arguments)

    return sendmsg


def _wrap_socket(original: Callable[..., Any]) -> Callable[..., Any]:
    def wrap_socket(
        self: ssl.SSLContext,
        sock: socket.socket,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as in ssl
        do_handshake_on_connect: bool = True,  # noqa: FBT001, FBT002 - as in ssl
        suppress_ragged_eofs: bool = True,  # noqa: FBT001, FBT002 - as in ssl
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> Any:
        route = None if server_side else _route_of(server_hostname, sock)
        if route is None:
            context = self
        else:
            # A session belongs to the client's context, and to the vendor's server.
            context, session = route.context(self), None
        arguments = (
            sock,
            server_side,
            do_handshake_on_connect,
            suppress_ragged_eofs,
            server_hostname,
            session,
        )
        wrapped = original(context, *arguments)
        if route is not None:
            route.add(wrapped)
        return wrapped

    return wrap_socket


def _wrap_bio(original: Callable[..., Any]) -> Callable[..., Any]:
    def wrap_bio(
        self: ssl.SSLContext,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as in ssl
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> Any:
        found = None if server_side else _find(server_hostname)
        if found is not None:
            return original(found[1].context(self), incoming, outgoing, server_side, server_hostname, None)
        return original(self, incoming, outgoing, server_side, server_hostname, session)

    return wrap_bio


def _route_of(name: str | bytes | None, sock: socket.socket) -> Route | None:
    """Return the route of a connection on which TLS starts."""
    found = _find(name)
    if found is not None:
        return found[1]
    # The client sends another name, or none.
    for redirector in _redirectors:
        for route in redirector.routes():
            if route.has(sock):
                return route
    return None


UNUSED = ("family", "proto", "flags", "local_addr", "happy_eyeballs_delay", "interleave", "all_errors")
"""Arguments of ``create_connection`` that only matter without a connected socket."""


def _create_connection(original: Callable[..., Any]) -> Callable[..., Any]:
    async def create_connection(
        self: asyncio.AbstractEventLoop,
        protocol_factory: Callable[[], Any],
        host: Any = None,
        port: Any = None,
        **options: Any,
    ) -> Any:
        found = None if host is None else _find(host)
        if found is None:
            if host is not None:
                check_target(host, port)
            made = await original(self, protocol_factory, host, port, **options)
            route = None if options.get("sock") is None else _route_of(None, options["sock"])
        else:
            name, route = found
            options = {key: value for key, value in options.items() if key not in UNUSED}
            if options.get("ssl") and options.get("server_hostname") is None:
                options["server_hostname"] = name
            sock = await _open(self, route, _number(port) or 0)
            try:
                made = await original(self, protocol_factory, sock=sock, **options)
            except BaseException:
                sock.close()
                raise
        if route is not None:
            route.add_transport(made[0], self)
        return made

    return create_connection


async def _open(loop: asyncio.AbstractEventLoop, route: Route, port: int) -> socket.socket:
    """Connect to the emulator."""
    address = route.address(port)
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    route.add(sock)
    return sock


def check_target(host: object, port: object) -> None:
    """Check a name or an address that a client connects to."""
    if is_address(_text(host)):
        check_connect((host, port))
    else:
        check_lookup(host, port)


def is_address(host: str) -> bool:
    """Return whether this is an IP address, in any notation that sockets accept."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


def _loop_getaddrinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    async def getaddrinfo(self: asyncio.AbstractEventLoop, host: Any, port: Any, **options: Any) -> Any:
        found = None if options.get("flags", 0) & socket.AI_NUMERICHOST else _find(host)
        if found is not None:
            return await original(self, _stand_in(*found, options.get("family", 0)), port, **options)
        # Check here as well, because asyncio looks names up in a thread, where the caller is unknown.
        check_lookup(host, port)
        results = await original(self, host, port, **options)
        _found(host, [result[4][0] for result in results])
        return results

    return getaddrinfo


def _create_datagram_endpoint(original: Callable[..., Any]) -> Callable[..., Any]:
    async def create_datagram_endpoint(
        self: asyncio.AbstractEventLoop,
        protocol_factory: Callable[[], Any],
        local_addr: Any = None,
        remote_addr: Any = None,
        **options: Any,
    ) -> Any:
        if isinstance(remote_addr, tuple):
            found = _find(remote_addr[0])
            if found is not None:
                raise ConnectionRefusedError(
                    f"{found[0]} is redirected to an emulator, which only supports TCP"
                )
            check_target(*remote_addr[:2])
        return await original(self, protocol_factory, local_addr, remote_addr, **options)

    return create_datagram_endpoint


def _sock_connect(original: Callable[..., Any]) -> Callable[..., Any]:
    async def sock_connect(self: asyncio.AbstractEventLoop, sock: socket.socket, address: Any) -> None:
        await original(self, sock, _destination(sock, address))

    return sock_connect


def _resolve_host(original: Callable[..., Any]) -> Callable[..., Any]:
    async def resolve_host(self: Any, host: str, port: int, *arguments: Any, **options: Any) -> Any:
        found = _find(host)
        if found is None:
            # Only names, because the connection itself is checked later, and fails with a better error.
            if not is_address(host):
                check_lookup(host, port)
            return await original(self, host, port, *arguments, **options)
        address = _stand_in(*found, self.family)
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
        ]

    return resolve_host


def _create_pooled(direct: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def create_connection(self: Any, origin: Any) -> Any:
        if _find(origin.host) is None:
            return original(self, origin)
        # A copy of the pool, which only gives its settings to the connection.
        pool = copy.copy(self)
        pool._proxy = None  # noqa: SLF001 - the attribute of httpcore's pools
        return direct(pool, origin)

    return create_connection
