"""The redirectors and watchers that are in use, and functions that let the patches use them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence

from face_api_emulator.testing.interception.hosts import host_text, is_address, normalized, port_number
from face_api_emulator.testing.interception.protocols import Redirector, Route, Watcher
from face_api_emulator.testing.interception.stand_ins import name_of

lock = threading.RLock()
"""Held while redirectors and watchers change, and while patches are installed or removed."""

_redirectors: tuple[Redirector, ...] = ()
_watchers: tuple[Watcher, ...] = ()


def add_redirector(redirector: Redirector) -> None:
    """Use ``redirector`` to find routes, before the redirectors that were added earlier."""
    global _redirectors  # noqa: PLW0603 - the patches are global as well
    _redirectors = (redirector, *_redirectors)


def remove_redirector(redirector: Redirector) -> None:
    """Stop using ``redirector``."""
    global _redirectors  # noqa: PLW0603 - the patches are global as well
    _redirectors = tuple(each for each in _redirectors if each is not redirector)


def add_watcher(watcher: Watcher) -> None:
    """Use ``watcher`` to check all names and addresses that are not redirected."""
    global _watchers  # noqa: PLW0603 - the patches are global as well
    _watchers = (*_watchers, watcher)


def remove_watcher(watcher: Watcher) -> None:
    """Stop using ``watcher``."""
    global _watchers  # noqa: PLW0603 - the patches are global as well
    _watchers = tuple(each for each in _watchers if each is not watcher)


def is_used() -> bool:
    """Return whether there is a redirector or a watcher."""
    return bool(_redirectors or _watchers)


def find_route(host: object) -> tuple[str, Route] | None:
    """Return a redirected name and its route. ``host`` is the name, or the name's placeholder address."""
    if not _redirectors:
        return None
    name = normalized(host)
    name = name_of(name) or name
    for redirector in _redirectors:
        route = redirector.route(name)
        if route is not None:
            return name, route
    return None


def route_of_connection(name: object, sock: socket.socket) -> Route | None:
    """Return the route of a connection on which TLS starts with the server name ``name``."""
    found = find_route(name)
    if found is not None:
        return found[1]
    # The client may send another server name, or none.
    for redirector in _redirectors:
        for route in redirector.routes():
            if route.has(sock):
                return route
    return None


def check_lookup(host: object, port: object) -> None:
    """Ask all watchers whether the process may look up a name, unless the name is redirected."""
    if _watchers and find_route(host) is None:
        _ask(lambda watcher: watcher.lookup(host_text(host), port_number(port)))


def check_connect(address: object) -> None:
    """Ask all watchers whether the process may reach an address, unless it is an address of the emulator."""
    if not _watchers or not isinstance(address, tuple) or len(address) < 2:
        return
    host, port = host_text(address[0]), port_number(address[1])
    if any(redirector.is_target(host, port) for redirector in _redirectors):
        return
    _ask(lambda watcher: watcher.connect(host, port))


def check_target(host: object, port: object) -> None:
    """Check a name or an address that a client connects to."""
    if is_address(host_text(host)):
        check_connect((host, port))
    else:
        check_lookup(host, port)


def refuse_datagrams(host: object) -> None:
    """Raise an error if ``host`` is a redirected name, or the placeholder address of one."""
    found = find_route(host)
    if found is not None:
        raise ConnectionRefusedError(f"{found[0]} is redirected to an emulator, which only supports TCP")


def report_found(host: object, addresses: Sequence[str]) -> None:
    """Report the addresses of a name that was looked up to all watchers."""
    for watcher in _watchers:
        watcher.found(host_text(host), addresses)


def _ask(check: Callable[[Watcher], None]) -> None:
    """Call ``check`` for all watchers, so that each can record an attempt. Then raise the first error."""
    errors = []
    for watcher in _watchers:
        try:
            check(watcher)
        except OSError as error:
            errors.append(error)
    if errors:
        raise errors[0]
