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
import requests
import uvloop
from redirect_peers import ASYNCHRONOUS, LOOPS, NAME, SYNCHRONOUS, Peer, needs_ipv6, peer

from emulator.testing.interception.registry import check_connect
from emulator.testing.redirect import redirected
from emulator.testing.seal import Attempt, Seal, Sealed, sealed

OUTSIDE, ADDRESS, ADDRESS_6 = "outside.invalid", "192.0.2.1", "2001:db8::1"
"""Names and addresses that documentation may use, and that nobody has."""

SAVED = (socket.getaddrinfo, socket.create_connection, _socket.socket.connect)
"""Functions that a library may have imported before."""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A server in the place of the emulator."""
    with peer("emulator", tmp_path_factory.mktemp("emulator")) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


def targets(seal: Seal) -> list[str]:
    return [attempt.target for attempt in seal.attempts]


def is_caused_by_the_seal(error: BaseException) -> bool:
    """Return whether one of the exceptions that led to ``error`` is ours."""
    seen: list[BaseException] = [error]
    for each in seen:
        if isinstance(each, Sealed):
            return True
        more = (each.__cause__, each.__context__, *each.args, getattr(each, "reason", None))
        if isinstance(each, BaseExceptionGroup):
            more = (*more, *each.exceptions)
        seen += [other for other in more if isinstance(other, BaseException) and other not in seen]
    return False


@pytest.mark.parametrize("library", SYNCHRONOUS)
@pytest.mark.parametrize(
    ("url", "target"),
    [
        (f"https://{OUTSIDE}/", f"{OUTSIDE}:443"),
        (f"http://{OUTSIDE}:8080/", f"{OUTSIDE}:8080"),
        (f"http://{ADDRESS}/", f"{ADDRESS}:80"),
        pytest.param(f"https://[{ADDRESS_6}]/", f"[{ADDRESS_6}]:443", marks=needs_ipv6),
    ],
)
def test_clients_are_blocked(library: str, url: str, target: str) -> None:
    with SYNCHRONOUS[library](None) as get, sealed() as seal, pytest.raises(Exception) as raised:  # noqa: PT011 - checked below
        get(url)
    assert is_caused_by_the_seal(raised.value)
    assert set(targets(seal)) == {target}
    assert {attempt.where.partition(":")[0] for attempt in seal.attempts} <= {
        __file__,
        str(Path(__file__).parent.parent / "redirect_peers.py"),
    }


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
@pytest.mark.parametrize(
    ("url", "target"),
    [
        (f"https://{OUTSIDE}/", f"{OUTSIDE}:443"),
        (f"http://{OUTSIDE}:8080/", f"{OUTSIDE}:8080"),
        (f"http://{ADDRESS}/", f"{ADDRESS}:80"),
        pytest.param(f"https://[{ADDRESS_6}]/", f"[{ADDRESS_6}]:443", marks=needs_ipv6),
    ],
)
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
    assert {attempt.where.partition(":")[0] for attempt in seal.attempts} <= {
        __file__,
        str(Path(__file__).parent.parent / "redirect_peers.py"),
    }


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
        pytest.raises(OSError, match=r"this test is sealed, and tried to reach ") as raised,
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
        pytest.raises(Sealed, match="this test is sealed, and tried to reach "),
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
        "this test is sealed, and tried to reach outside.invalid:443; redirect the name to an emulator, "
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


# What is allowed


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "api.localhost"])
def test_the_loopback_interface_is_allowed(host: str, emulator: Peer) -> None:
    with sealed() as seal:
        if host != "api.localhost":
            with socket.create_connection((host, emulator.plain[1])):
                pass
        assert requests.get(f"http://127.0.0.1:{emulator.plain[1]}/", timeout=20).text == "emulator"
        for each in ("127.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "", "127.0.0.53"):  # noqa: S104 - a lookup
            seal.lookup(each, 80)
            seal.connect(each, 80)
        seal.lookup(host, 80)
    assert seal.attempts == []


def test_unix_sockets_are_allowed(tmp_path: Path) -> None:
    with sealed() as seal, socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))
        for each in socket.socketpair():
            each.close()
    assert seal.attempts == []


def test_formatting_an_address_is_allowed() -> None:
    """It asks no name server."""
    with sealed() as seal:
        flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        assert socket.getnameinfo((ADDRESS, 80), flags) == (ADDRESS, "80")
        assert socket.getaddrinfo(ADDRESS, 80, type=socket.SOCK_STREAM)[0][4] == (ADDRESS, 80)
    assert seal.attempts == []


def test_the_machines_own_name_may_be_looked_up() -> None:
    with sealed() as seal:
        # Not with a real lookup, because that may ask a name server.
        seal.lookup(socket.gethostname(), None)
    assert seal.attempts == []


@pytest.mark.parametrize("is_outside", [True, False])
@pytest.mark.parametrize("library", SYNCHRONOUS)
def test_redirected_names_are_allowed(library: str, is_outside: bool, emulator: Peer) -> None:  # noqa: FBT001 - a parameter
    with contextlib.ExitStack() as stack:
        get = stack.enter_context(SYNCHRONOUS[library](None))
        seal = stack.enter_context(sealed()) if is_outside else None
        stack.enter_context(emulator.redirected())
        seal = seal or stack.enter_context(sealed())
        assert [get(f"https://{NAME}/"), get(f"http://{NAME}/")] == ["emulator"] * 2
    assert seal.attempts == []


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_redirected_names_are_allowed_for_asynchronous_clients(
    library: str, loop: str, emulator: Peer
) -> None:
    async def main() -> list[str]:
        async with ASYNCHRONOUS[library](None) as get:
            return [await get(f"https://{NAME}/"), await get(f"http://{NAME}/")]

    with (
        asyncio.Runner(loop_factory=LOOPS[loop]) as runner,
        sealed() as seal,
        emulator.redirected(),
    ):
        assert runner.run(main()) == ["emulator"] * 2
    assert seal.attempts == []


def test_an_emulator_on_another_machine_is_allowed(emulator: Peer) -> None:
    """Only as the target of a redirect."""
    remote = (ADDRESS, 3468), (ADDRESS, 3469)
    with sealed() as seal, redirected([NAME], plain=remote[0], tls=remote[1], ca=emulator.ca):
        check_connect(remote[0])
        check_connect((f"::ffff:{ADDRESS}", 3469))
        assert seal.attempts == []
        with pytest.raises(Sealed):
            check_connect((ADDRESS, 22))


@pytest.mark.parametrize(
    ("allowed", "host", "port", "is_allowed"),
    [
        ("db.example", "db.example", 5432, True),
        ("DB.example.", "db.example", 5432, True),
        ("db.example", "a.db.example", 5432, False),
        ("db.example:5432", "db.example", 5432, True),
        ("db.example:5432", "db.example", None, True),
        ("db.example:5432", "db.example", 22, False),
        ("192.0.2.1", ADDRESS, 80, True),
        ("192.0.2.1:80", ADDRESS, 80, True),
        ("192.0.2.1:80", ADDRESS, 81, False),
        ("192.0.2.0/24", ADDRESS, 80, True),
        ("192.0.2.0/24", f"::ffff:{ADDRESS}", 80, True),
        ("198.51.100.0/24", ADDRESS, 80, False),
        ("2001:db8::/32", ADDRESS_6, 80, True),
        ("2001:db8::1", f"{ADDRESS_6}%1", 80, True),
    ],
)
def test_hosts_can_be_allowed(allowed: str, host: str, port: int | None, is_allowed: bool) -> None:  # noqa: FBT001 - a parameter
    with sealed([allowed]) as seal:
        if is_allowed:
            seal.connect(host, port)
        else:
            with pytest.raises(Sealed):
                seal.connect(host, port)
    assert len(seal.attempts) == (not is_allowed)


def test_the_addresses_of_an_allowed_name_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ADDRESS, 5432))]

    monkeypatch.setattr(_socket, "getaddrinfo", getaddrinfo)
    with sealed(["db.example:5432"]) as seal:
        with pytest.raises(Sealed):
            seal.connect(ADDRESS, 5432)
        socket.getaddrinfo("db.example", 5432)
        seal.connect(ADDRESS, 5432)
        with pytest.raises(Sealed):
            seal.connect(ADDRESS, 22)


@pytest.mark.parametrize("allowed", ["https://db.example", "db.example/x", "db.example:x", "", "a:b:1"])
def test_unusable_hosts_are_refused(allowed: str) -> None:
    with pytest.raises(ValueError, match="is not a host name, an address or a network"), sealed([allowed]):
        pass


# Ends and nesting


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
