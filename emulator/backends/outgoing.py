"""The connections that the emulator opens: the addresses that it may call, and DNS lookups."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import importlib
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from emulator.backends.shares import FairShare

if TYPE_CHECKING:
    import httpcore

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local; 169.254.169.254 is the metadata service of most clouds
        "fe80::/10",  # link-local
        "fd00:ec2::254/128",  # metadata of AWS
        "fd20:ce::254/128",  # metadata of Google Cloud
        "100.100.100.200/32",  # metadata of Alibaba Cloud
        "168.63.129.16/32",  # metadata of Azure
        "192.0.0.192/32",  # metadata of Oracle Cloud
    )
)
"""Addresses that the emulator never calls: link-local addresses, and the metadata services of clouds.

The metadata service of a cloud returns the keys of a machine to every program on the machine.
"""

EMBEDDING: tuple[ipaddress.IPv6Network, ...] = tuple(
    ipaddress.IPv6Network(network)
    for network in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
"""IPv6 networks in which the last 32 bits of an address are an IPv4 address."""

USER_INFO = re.compile(r"""((?:/|\\/|%2F){2})(?:(?!%2F|%3F|%23)[^\s/?#"'<>\\])+(@|%40)""", re.IGNORECASE)
"""The user name and password in a URL. Slashes can be percent-encoded, or written ``\\/`` as in JSON."""

FIRST_SECONDS = 2.0
"""Timeout for a connection, in real seconds, if the host has further addresses to try."""

LOOKUPS = 128
"""Largest number of concurrent DNS lookups. Each uses a thread. One caller gets at most a quarter."""

_caller: ContextVar[str] = ContextVar("caller", default="")
"""The caller of a request. httpcore does not pass it on to the function that opens a connection."""


class AddressRefused(Exception):
    """The emulator must not call a host or an address."""


def without_user(text: str) -> str:
    """Return ``text`` without the user names and passwords of its URLs."""
    if "@" not in text and "%40" not in text:
        return text
    return USER_INFO.sub(r"\1***\2", text)


@dataclass(frozen=True)
class AddressPolicy:
    """The hosts that the emulator may call.

    Attributes
    ----------
    hosts : sequence of str
        The names and IP addresses that may be called; empty for all. ``*.example.com`` stands for all names
        below ``example.com``. Addresses in ``NEVER`` are refused in any case.
    """

    hosts: Sequence[str] = ()

    def check_host(self, host: str) -> None:
        """Check the host in a URL.

        Raises
        ------
        AddressRefused
            If hosts are listed, and this is not one of them.
        """
        name = host.strip("[]").rstrip(".").lower()
        if self.hosts and not any(is_named(name, listed.strip("[]").lower()) for listed in self.hosts):
            raise AddressRefused(f"{host} is not in the setting `outgoing_hosts`")

    @staticmethod
    def check_address(text: str) -> None:
        """Check an address.

        Raises
        ------
        AddressRefused
            If it is a link-local address, or the address of a metadata service.
        """
        for address in _meanings(ipaddress.ip_address(text.partition("%")[0])):
            if any(address in network for network in NEVER):
                raise AddressRefused(
                    f"{text} is a link-local address or a metadata service, which the emulator never calls"
                )


class Lookups:
    """DNS lookups, each in its own thread.

    asyncio's shared threads also read files, and a slow DNS server would block them. The program does not
    wait for the threads of lookups when it ends.
    """

    def __init__(self) -> None:
        self._share = FairShare(LOOKUPS, LOOKUPS // 4)

    async def addresses(self, host: str, port: int, key: str) -> list[str]:
        """Return the addresses of a host, in the order in which they should be tried.

        ``key`` is the caller. The callers whose lookups wait are served in turn.

        Raises
        ------
        OSError
            If the host has no address.
        """
        try:
            # All spellings of an address, such as 2130706433 or 0x7f.1, are read without a lookup.
            text = host.rstrip(".")
            found = socket.getaddrinfo(text, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except (socket.gaierror, UnicodeError):
            found = await self._look_up(host, port, key)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    async def _look_up(self, host: str, port: int, key: str) -> list[Any]:
        await self._share.take(key, 1)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()

        def settle(found: list[Any], error: OSError | None) -> None:
            self._share.give(key, 1)
            if answer.done():
                return  # the caller did not wait
            if error is None:
                answer.set_result(found)
            else:
                answer.set_exception(error)

        def look_up() -> None:
            found, failure = [], None
            try:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                failure = OSError(f"{host}: {error}")
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(settle, found, failure)

        threading.Thread(target=look_up, name="face-emulator-lookup", daemon=True).start()
        return await answer


class Outgoing:
    """A pool of HTTP connections to hosts that a policy allows.

    The address is checked each time a connection is opened, because the address of a name can change. The
    pool keeps no cookies, and uses no proxy.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._lookups = Lookups()
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._opening = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: str,
        url: Any,
        headers: Mapping[str, str],
        *,
        key: str = "",
        content: bytes | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[httpcore.Response]:
        """Send a request to ``url``, an ``httpx.URL``, and yield the response. Its body is not decoded.

        ``key`` is the caller, for ``Lookups``. There is no timeout, so the caller must set one.

        Raises
        ------
        AddressRefused
            If the host must not be called.
        OSError, ValueError
            If the host cannot be reached, or violates HTTP.
        """
        import httpcore  # noqa: PLC0415 - loaded by ``_open``

        pool = await self._open()
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        names = {
            "Host": url.netloc.decode("ascii"),
            "Accept": "*/*",
            "User-Agent": "face-api-emulator",
            **headers,
        }
        pairs = [(name.encode("ascii"), value.encode("latin-1")) for name, value in names.items()]
        _caller.set(key)
        try:
            async with pool.stream(
                method, target, headers=pairs, content=content, extensions=dict(extensions or {})
            ) as response:
                yield response
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    async def _open(self) -> httpcore.AsyncConnectionPool:
        async with self._opening:
            if self._pool is None:
                context = await asyncio.to_thread(_tls_context)
                self._pool = _pool_of(self._policy, self._lookups, context)
        return self._pool


async def load_httpx() -> Any:
    """Import httpx on demand, in a thread, because the import takes a third of a second."""
    return await asyncio.to_thread(importlib.import_module, "httpx")


def authorization(url: Any) -> dict[str, str]:
    """Return the header for the user name and the password in ``url``, an ``httpx.URL``."""
    if not url.userinfo:
        return {}
    name, _, password = url.userinfo.partition(b":")
    user = f"{unquote(name.decode())}:{unquote(password.decode())}".encode()
    return {"Authorization": f"Basic {base64.b64encode(user).decode()}"}


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Return the context with the public root certificates. Loading it takes too long for the event loop."""
    import httpx  # noqa: PLC0415 - see ``load_httpx``

    return httpx.create_ssl_context(trust_env=False)


def _pool_of(
    policy: AddressPolicy, lookups: Lookups, context: ssl.SSLContext
) -> httpcore.AsyncConnectionPool:
    import httpcore  # noqa: PLC0415 - loaded by ``load_httpx``

    class Checked(httpcore.AsyncNetworkBackend):
        """Connects only to addresses that the policy allows."""

        def __init__(self) -> None:
            self._backend = httpcore.AnyIOBackend()

        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
            local_address: str | None = None,
            socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
        ) -> httpcore.AsyncNetworkStream:
            policy.check_host(host)
            try:
                *others, last = await lookups.addresses(host, port, _caller.get())
            except OSError as error:
                raise httpcore.ConnectError(str(error)) from error
            for address in (*others, last):
                policy.check_address(address)
            for address in others:
                with contextlib.suppress(httpcore.ConnectError, TimeoutError):
                    async with asyncio.timeout(FIRST_SECONDS):
                        return await self._backend.connect_tcp(address, port, None, None, socket_options)
            return await self._backend.connect_tcp(last, port, timeout, local_address, socket_options)

    # The callers limit the number of connections. A limit here would let slow hosts block others.
    return httpcore.AsyncConnectionPool(
        context,
        max_connections=None,
        max_keepalive_connections=20,
        keepalive_expiry=5.0,
        network_backend=Checked(),
    )


def is_named(name: str, listed: str) -> bool:
    """Return whether ``listed`` is the host ``name``, or a pattern for it such as ``*.example.com``."""
    return name.endswith(listed[1:]) if listed.startswith("*.") else name == listed.rstrip(".")


def _meanings(address: Address) -> list[Address]:
    """Return an address, and the IPv4 addresses that are embedded in it."""
    found: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in EMBEDDING):
            found.append(ipaddress.IPv4Address(address.packed[-4:]))
        found += filter(None, (address.sixtofour, *(address.teredo or ())))
    return found
