"""Block connections of this process to other machines.

The check is an audit hook of Python. Python calls the hook for every connection and lookup of ``_socket``,
even through functions that a library has imported or saved before. A hook cannot be removed, so it is added
for the first seal, and does nothing while there is no seal. The hook alone is not enough: ``connect`` looks
up a name before it calls the hook, uvloop never calls the hook, and asyncio looks up names in a thread, where
the caller is unknown. The patches of ``interception`` cover these cases.

The seal does not see child processes, libraries in C that connect by themselves, connections that are already
open, and datagrams that uvloop sends from a socket without a fixed destination.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from face_api_emulator.testing.interception.hosts import INTERNET, is_address, normalized
from face_api_emulator.testing.interception.installation import watching
from face_api_emulator.testing.interception.registry import check_connect, check_lookup

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Attempt:
    """An attempt to reach another machine.

    Attributes
    ----------
    host : str
        Name or address.
    port : int or None
        Port, if it is known.
    where : str
        Location in the code under test, as ``path:line in function``.
    """

    host: str
    port: int | None
    where: str

    @property
    def target(self) -> str:
        """Host and port, as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


class Sealed(OSError):
    """The process tried to reach another machine, and a seal prevented it.

    Attributes
    ----------
    attempt : Attempt
        What the process tried to reach.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        super().__init__(
            f"this test is sealed, but tried to reach {attempt.target}; redirect the name to an emulator, "
            f"or allow it with allowed=[{attempt.host!r}]"
        )


@dataclass
class Seal:
    """A seal, and the attempts to break it.

    Attributes
    ----------
    attempts : list of Attempt
        All attempts so far, including those in other threads, and those whose exception the tested code
        swallowed.
    """

    _allowed: _Allowed
    attempts: list[Attempt] = field(default_factory=list)

    def lookup(self, host: str, port: int | None) -> None:
        """Raise ``Sealed`` if the name must not be looked up."""
        if not (is_address(host) or self._allowed.name(host, port)):
            self._refuse(host, port)

    def connect(self, host: str, port: int | None) -> None:
        """Raise ``Sealed`` if the address or name must not be reached."""
        if not (self._allowed.address(host, port) if is_address(host) else self._allowed.name(host, port)):
            self._refuse(host, port)

    def found(self, host: str, addresses: Sequence[str]) -> None:
        """Allow the addresses of an allowed name."""
        self._allowed.learn(host, addresses)

    def _refuse(self, host: str, port: int | None) -> None:
        attempt = Attempt(host, port, _where())
        self.attempts.append(attempt)
        raise Sealed(attempt)


@contextlib.contextmanager
def sealed(allowed: Iterable[str] = ()) -> Iterator[Seal]:
    """Block all connections of this process to other machines, for the duration of the block.

    TCP connections, datagrams and lookups of names raise ``Sealed``, an ``OSError``. The process may reach
    the loopback interface, Unix sockets, names that ``redirected`` redirects, and ``allowed``. It may also
    look up the machine's own name. In nested blocks, the process may reach only what all the blocks allow.

    Parameters
    ----------
    allowed : iterable of str
        Names, addresses or networks such as ``10.0.0.0/8``. Names and IPv4 addresses can have a port:
        ``database:5432``.

    Yields
    ------
    Seal
        The seal, which records the attempts.

    Raises
    ------
    ValueError
        If a member of ``allowed`` is a URL or has an invalid port.
    """
    _add_hook()
    seal = Seal(_Allowed(allowed))
    with watching(seal):
        yield seal


class _Allowed:
    """What the process may reach."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._names: set[tuple[str, int | None]] = {("", None), ("localhost", None)}
        self._networks: list[tuple[Network, int | None]] = []
        self._names.add((normalized(socket.gethostname()), None))
        for each in allowed:
            self._add(each)

    def _add(self, text: str) -> None:
        with contextlib.suppress(ValueError):
            self._networks.append((ipaddress.ip_network(text, strict=False), None))
            return
        host, colon, digits = text.rpartition(":")
        if not colon:
            host, digits = text, ""
        if not host or set(host) & set("/@[]:") or (colon and not digits.isdecimal()):
            raise ValueError(f"{text!r} is not a host name, an address or a network, optionally with a port")
        port = int(digits) if digits else None
        if is_address(host):
            self._networks.append((ipaddress.ip_network(host), port))
        else:
            self._names.add((normalized(host), port))

    def name(self, host: str, port: int | None) -> bool:
        """Return whether the process may look up a name.

        Without ``port``, it may look up the name if at least one port of the name is allowed.
        """
        name = normalized(host)
        if name.endswith(".localhost"):
            return True
        return any(each == name and _matches(allowed, port) for each, allowed in self._names)

    def address(self, host: str, port: int | None) -> bool:
        """Return whether the process may reach an address."""
        address = _parsed(host)
        if address.is_loopback or address.is_unspecified:
            return True
        with self._lock:
            return any(address in network and _matches(allowed, port) for network, allowed in self._networks)

    def learn(self, host: str, addresses: Sequence[str]) -> None:
        """If a name is allowed, allow its addresses too, for the same ports."""
        name = normalized(host)
        ports = [port for each, port in self._names if each == name]
        with self._lock:
            for address in addresses if ports else ():
                network = ipaddress.ip_network(_parsed(address))
                self._networks += [(network, port) for port in ports if (network, port) not in self._networks]


def _matches(allowed: int | None, port: int | None) -> bool:
    return allowed is None or port is None or allowed == port


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Parse an address. An IPv4-mapped IPv6 address becomes an IPv4 address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # Sockets also accept the old notations of IPv4, such as 127.1.
        return ipaddress.IPv4Address(socket.inet_aton(host))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


# The place of an attempt in the code

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep  # noqa: PTH100, PTH120 - compared with file names of code
_LIBRARIES = tuple(
    os.path.join(sysconfig.get_path(name), "")  # noqa: PTH118 - as above
    for name in ("purelib", "platlib")
)
_STANDARD = tuple(
    os.path.join(sysconfig.get_path(name), "")  # noqa: PTH118 - as above
    for name in ("stdlib", "platstdlib")
)


def _where() -> str:
    """Return the innermost line on the stack in the code under test or, without one, in a library."""
    library = None
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way that does not read source files
    while frame is not None:
        file = frame.f_code.co_filename
        place = f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"
        # The folder of libraries can contain this package, and the standard library's folder contains that of
        # libraries.
        if file.startswith((_OWN, "<")):
            pass
        elif file.startswith(_LIBRARIES):
            library = library or place
        elif not file.startswith(_STANDARD):
            return place
        frame = frame.f_back
    return library or f"thread {threading.current_thread().name}"


# The audit hook

_lock = threading.Lock()
_is_hooked = False


def _add_hook() -> None:
    global _is_hooked  # noqa: PLW0603 - the hook is global as well
    with _lock:
        if not _is_hooked:
            sys.addaudithook(_audit)
            _is_hooked = True


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Check an audit event. ``check_connect`` and ``check_lookup`` do nothing while there is no seal."""
    if event[:7] != "socket.":
        return
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        if arguments[0].family in INTERNET:
            check_connect(arguments[1])
    elif event == "socket.getaddrinfo":
        check_lookup(arguments[0], arguments[1])
    elif event in {"socket.gethostbyname", "socket.gethostbyaddr"}:
        host = str(arguments[0])
        if event.endswith("addr") and is_address(host):
            # A reverse lookup asks a name server.
            check_connect((host, None))
        else:
            check_lookup(host, None)
