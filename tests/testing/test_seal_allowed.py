from __future__ import annotations

import _socket
import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
import requests
from redirect_clients import ASYNCHRONOUS, LOOPS, SYNCHRONOUS
from redirect_peers import NAME, Peer
from seal_targets import ADDRESS, ADDRESS_6

from face_api_emulator.testing.interception.registry import check_connect
from face_api_emulator.testing.redirect import redirected
from face_api_emulator.testing.seal import Sealed, sealed

pytestmark = pytest.mark.usefixtures("no_proxies")


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
    """Formatting does not query a name server."""
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
    """It is allowed only as the target of a redirect."""
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
