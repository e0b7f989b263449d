from __future__ import annotations

import _socket
import asyncio
import contextlib
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redirect_clients
import uvloop
from redirect_clients import ASYNCHRONOUS, LOOPS, SYNCHRONOUS
from redirect_peers import needs_ipv6
from seal_targets import ADDRESS, ADDRESS_6, OUTSIDE, is_caused_by_the_seal, targets

from face_api_emulator.testing import seal as seal_module
from face_api_emulator.testing.seal import Attempt, Sealed, sealed

SAVED = (socket.getaddrinfo, socket.create_connection, _socket.socket.connect)
"""Functions that a library may have imported before."""

CLIENTS = str(redirect_clients.__file__)

pytestmark = pytest.mark.usefixtures("no_proxies")

each_target = pytest.mark.parametrize(
    ("url", "target"),
    [
        (f"https://{OUTSIDE}/", f"{OUTSIDE}:443"),
        (f"http://{OUTSIDE}:8080/", f"{OUTSIDE}:8080"),
        (f"http://{ADDRESS}/", f"{ADDRESS}:80"),
        pytest.param(f"https://[{ADDRESS_6}]/", f"[{ADDRESS_6}]:443", marks=needs_ipv6),
    ],
)


@pytest.mark.parametrize("library", SYNCHRONOUS)
@each_target
def test_clients_are_blocked(library: str, url: str, target: str) -> None:
    with SYNCHRONOUS[library](None) as get, sealed() as seal, pytest.raises(Exception) as raised:  # noqa: PT011 - checked below
        get(url)
    assert is_caused_by_the_seal(raised.value)
    assert set(targets(seal)) == {target}
    assert {attempt.where.partition(":")[0] for attempt in seal.attempts} <= {__file__, CLIENTS}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
@each_target
def test_asynchronous_clients_are_blocked(library: str, url: str, target: str, loop: str) -> None:
    async def main() -> None:
        async with ASYNCHRONOUS[library](None) as get:
            await get(url)

    with (
        sealed() as seal,
        pytest.raises(Exception) as raised,  # noqa: PT011 - checked below
        asyncio.Runner(loop_factory=LOOPS[loop]) as runner,
    ):
        runner.run(main())
    assert is_caused_by_the_seal(raised.value)
    assert set(targets(seal)) == {target}
    assert {attempt.where.partition(":")[0] for attempt in seal.attempts} <= {__file__, CLIENTS}


@contextlib.contextmanager
def stream() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.settimeout(1)
        yield sock


@contextlib.contextmanager
def datagrams() -> Iterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        yield sock


def on(opened: Callable[[], Any], call: Callable[[socket.socket], object]) -> Callable[[], object]:
    def attempt() -> object:
        with opened() as sock:
            return call(sock)

    return attempt


ATTEMPTS: dict[str, tuple[Callable[[], object], str]] = {
    "getaddrinfo": (lambda: socket.getaddrinfo(OUTSIDE, 443), f"{OUTSIDE}:443"),
    "getaddrinfo of a service": (lambda: socket.getaddrinfo(OUTSIDE.encode(), "http"), f"{OUTSIDE}:80"),
    "getaddrinfo without a port": (lambda: socket.getaddrinfo(OUTSIDE, None), OUTSIDE),
    "gethostbyname": (lambda: socket.gethostbyname(OUTSIDE), OUTSIDE),
    "gethostbyname_ex": (lambda: socket.gethostbyname_ex(OUTSIDE), OUTSIDE),
    "gethostbyaddr": (lambda: socket.gethostbyaddr(ADDRESS), ADDRESS),
    "getnameinfo": (lambda: socket.getnameinfo((ADDRESS, 80), 0), f"{ADDRESS}:80"),
    "create_connection": (lambda: socket.create_connection((OUTSIDE, 25)), f"{OUTSIDE}:25"),
    "connect": (on(stream, lambda sock: sock.connect((ADDRESS, 1))), f"{ADDRESS}:1"),
    "connect by name": (on(stream, lambda sock: sock.connect((OUTSIDE, 1))), f"{OUTSIDE}:1"),
    "connect_ex": (on(stream, lambda sock: sock.connect_ex((ADDRESS, 1))), f"{ADDRESS}:1"),
    "connect_ex by name": (on(stream, lambda sock: sock.connect_ex((OUTSIDE, 1))), f"{OUTSIDE}:1"),
    "connect of a datagram": (on(datagrams, lambda sock: sock.connect((ADDRESS, 53))), f"{ADDRESS}:53"),
    "sendto": (on(datagrams, lambda sock: sock.sendto(b"", (ADDRESS, 53))), f"{ADDRESS}:53"),
    "sendto by name": (on(datagrams, lambda sock: sock.sendto(b"", 0, (OUTSIDE, 53))), f"{OUTSIDE}:53"),
    "sendmsg": (on(datagrams, lambda sock: sock.sendmsg([b""], [], 0, (ADDRESS, 53))), f"{ADDRESS}:53"),
    "a broadcast": (on(datagrams, lambda sock: sock.sendto(b"", ("<broadcast>", 9))), "<broadcast>:9"),
    "a function imported before": (lambda: SAVED[0](OUTSIDE, 443), f"{OUTSIDE}:443"),
    "another function imported before": (lambda: SAVED[1]((ADDRESS, 443)), f"{ADDRESS}:443"),
    "a method of _socket": (on(stream, lambda sock: SAVED[2](sock, (ADDRESS, 1))), f"{ADDRESS}:1"),
    "a socket of _socket": (
        on(
            lambda: contextlib.closing(_socket.socket(socket.AF_INET, socket.SOCK_STREAM)),
            lambda sock: sock.connect((ADDRESS, 1)),
        ),
        f"{ADDRESS}:1",
    ),
    "urlopen": (lambda: urllib.request.urlopen(f"http://{OUTSIDE}"), f"{OUTSIDE}:80"),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_every_function_is_blocked(name: str) -> None:
    call, target = ATTEMPTS[name]
    with (
        sealed() as seal,
        pytest.raises(OSError, match=r"this test is sealed, but tried to reach ") as raised,
    ):
        call()
    assert is_caused_by_the_seal(raised.value)
    assert targets(seal) == [target]
    assert seal.attempts[0].where.startswith(f"{__file__}:")


ASYNCHRONOUS_ATTEMPTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "getaddrinfo": (lambda loop: loop.getaddrinfo(OUTSIDE, 443), f"{OUTSIDE}:443"),
    "create_connection": (
        lambda loop: loop.create_connection(asyncio.Protocol, OUTSIDE, 443),
        f"{OUTSIDE}:443",
    ),
    "create_connection by address": (
        lambda loop: loop.create_connection(asyncio.Protocol, ADDRESS, 443),
        f"{ADDRESS}:443",
    ),
    "open_connection": (lambda _: asyncio.open_connection(ADDRESS, 443), f"{ADDRESS}:443"),
    "create_datagram_endpoint": (
        lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(ADDRESS, 53)),
        f"{ADDRESS}:53",
    ),
    "create_datagram_endpoint by name": (
        lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(OUTSIDE, 53)),
        f"{OUTSIDE}:53",
    ),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", ASYNCHRONOUS_ATTEMPTS)
def test_every_function_of_the_loops_is_blocked(name: str, loop: str) -> None:
    call, target = ASYNCHRONOUS_ATTEMPTS[name]

    async def main() -> None:
        await call(asyncio.get_running_loop())

    with (
        asyncio.Runner(loop_factory=LOOPS[loop]) as runner,
        sealed() as seal,
        pytest.raises(Sealed, match="this test is sealed, but tried to reach "),
    ):
        runner.run(main())
    assert targets(seal) == [target]
    assert seal.attempts[0].where.startswith(f"{__file__}:")


@pytest.mark.parametrize("loop", LOOPS)
def test_sock_connect_is_blocked(loop: str) -> None:
    async def main() -> None:
        with socket.socket() as sock:
            sock.settimeout(0)
            await asyncio.get_running_loop().sock_connect(sock, (ADDRESS, 443))

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner, sealed() as seal, pytest.raises(Sealed):
        runner.run(main())
    assert targets(seal) == [f"{ADDRESS}:443"]


def test_the_exception_says_what_to_do() -> None:
    with sealed() as seal, pytest.raises(Sealed) as raised:
        socket.create_connection((OUTSIDE, 443))
    assert str(raised.value) == (
        "this test is sealed, but tried to reach outside.invalid:443; redirect the name to an emulator, "
        "or allow it with allowed=['outside.invalid']"
    )
    line = test_the_exception_says_what_to_do.__code__.co_firstlineno + 2
    where = f"{__file__}:{line} in test_the_exception_says_what_to_do"
    assert raised.value.attempt == Attempt(OUTSIDE, 443, where)
    assert seal.attempts == [raised.value.attempt]


def test_ignored_exceptions_and_other_threads_are_recorded() -> None:
    def ask() -> None:
        with contextlib.suppress(OSError):
            socket.create_connection((ADDRESS, 443))

    with sealed() as seal:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert targets(seal) == [f"{ADDRESS}:443"]
    assert seal.attempts[0].where.endswith(" in ask")


def test_a_library_is_named_for_its_own_thread_also_if_this_package_is_a_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        seal_module, "_LIBRARIES", (f"{Path(seal_module.__file__).parents[2]}/", f"{tmp_path}/")
    )
    library = tmp_path / "library.py"
    code = compile(
        "import socket\ntry: socket.create_connection(target)\nexcept OSError: pass", library, "exec"
    )
    with sealed() as seal:
        # The thread has no frame of a test. Its first frames belong to the standard library.
        thread = threading.Thread(target=exec, args=(code, {"target": (ADDRESS, 443)}))
        thread.start()
        thread.join()
    assert [attempt.where for attempt in seal.attempts] == [f"{library}:2 in <module>"]


def test_nothing_is_blocked_afterwards() -> None:
    before = dict(vars(socket.socket)), dict(vars(uvloop.Loop)), _socket.getaddrinfo, list(sys.meta_path)
    with pytest.raises(ZeroDivisionError), sealed() as seal:
        raise ZeroDivisionError
    assert (dict(vars(socket.socket)), dict(vars(uvloop.Loop)), _socket.getaddrinfo, list(sys.meta_path)) == (
        before
    )
    with socket.socket(type=socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        # This sends nothing.
        sock.connect((ADDRESS, 9))
    assert seal.attempts == []


def test_nested_seals_only_allow_what_all_allow() -> None:
    addresses = (ADDRESS, "198.51.100.1", "203.0.113.1")
    with sealed(addresses[:2]) as outer, sealed(addresses[:1]) as inner:
        for address in addresses:
            with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.connect((address, 9))
    assert targets(outer) == ["203.0.113.1:9"]
    assert targets(inner) == ["198.51.100.1:9", "203.0.113.1:9"]
