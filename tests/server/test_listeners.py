from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import httpx
import pytest

from emulator.server import AddressInUse, AddressUnusable, Listening, serve
from emulator.server.listeners import base_url, bind
from emulator.settings import Settings

HAS_IPV6 = socket.has_dualstack_ipv6()
needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")


@contextlib.contextmanager
def bound(hosts: Sequence[str], port: int = 0) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(each) for each in bind(hosts, port)]


def can_connect(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


@needs_ipv6
def test_two_colons_accept_both_families() -> None:
    with bound(["::"]) as (only,):
        port = only.getsockname()[1]
        assert [can_connect(host, port) for host in ("127.0.0.1", "::1")] == [True, True]
        assert base_url(only) == f"http://[::1]:{port}"


@needs_ipv6
@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (["0.0.0.0", "::"], ["::"]),  # noqa: S104 - this is the test
        (["::", "127.0.0.1"], ["::"]),
        (["127.0.0.1", "::1", "::"], ["::"]),
        (["127.0.0.1", "0.0.0.0", "::1"], ["0.0.0.0", "::1"]),  # noqa: S104 - this is the test
    ],
)
def test_an_address_that_another_includes_is_not_bound_again(hosts: list[str], expected: list[str]) -> None:
    with bound(hosts) as sockets:
        assert [each.getsockname()[0] for each in sockets] == expected


@needs_ipv6
def test_several_hosts_share_a_free_port() -> None:
    with bound(["127.0.0.1", "::1", "127.0.0.1"]) as sockets:
        first, second = (each.getsockname() for each in sockets)
        assert (first[0], second[0]) == ("127.0.0.1", "::1")
        assert first[1] == second[1] > 0


def test_a_name_is_bound_at_all_its_addresses() -> None:
    addresses = {found[4][0] for found in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    with bound(["localhost"]) as sockets:
        assert {each.getsockname()[0] for each in sockets} == addresses


def test_the_url_of_all_addresses_can_be_called() -> None:
    with bound(["0.0.0.0"]) as (only,):  # noqa: S104 - this is the test
        assert base_url(only, "https") == f"https://127.0.0.1:{only.getsockname()[1]}"


def test_a_port_in_use_leaves_nothing_bound() -> None:
    with bound(["127.0.0.1"]) as (taken,):
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port} is in use"):
            bind(["127.0.0.2", "127.0.0.1"], port)
        with bound(["127.0.0.2"], port):
            pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a" * 70 + ".example"])
def test_a_host_that_is_not_this_machine_is_named(host: str) -> None:
    with pytest.raises(AddressUnusable, match=f"cannot listen on {host}:0: "):
        bind([host], 0)


@needs_ipv6
def test_a_server_on_both_families_serves_the_control_api_on_loopback() -> None:
    """``::`` is no loopback address, so the control API is off, but it is open for two loopback hosts."""
    found: list[int] = []

    async def call(hosts: Sequence[str]) -> None:
        async def stop(listening: Listening) -> None:
            port = httpx.URL(listening.base_url).port
            async with httpx.AsyncClient(timeout=30) as client:
                for host in ("127.0.0.1", "[::1]"):
                    answer = await client.get(f"http://{host}:{port}/_emulator/clock")
                    found.append(answer.status_code)
            raise KeyError  # stops the server

        await serve(Settings(workers=1), hosts, 0, stop)

    for hosts in (["127.0.0.1", "::1"], ["::"]):
        with pytest.raises(KeyError):
            asyncio.run(call(hosts))
    assert found == [200, 200, 404, 404]
