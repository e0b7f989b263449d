from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

import pytest
from redirect_clients import LOOPS, run_on
from redirect_peers import NAME, NAMES, Peer, needs_ipv6

from face_api_emulator.testing.redirect import redirected

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def answer(sock: socket.socket) -> str:
    sock.sendall(f"GET / HTTP/1.0\r\nHost: {NAME}\r\n\r\n".encode())
    return sock.makefile("rb").read().rpartition(b"\r\n")[2].decode()


@pytest.mark.parametrize("target", [NAME, NAME.encode(), "address"])
@pytest.mark.parametrize("family", [socket.AF_INET, pytest.param(socket.AF_INET6, marks=needs_ipv6)])
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_sockets_connect_by_name_and_by_address(
    method: str, family: socket.AddressFamily, target: str | bytes, emulator: Peer
) -> None:
    with emulator.redirected(), socket.socket(family) as sock:
        if target == "address":
            target = str(socket.getaddrinfo(NAME, "http", family)[0][4][0])
        assert getattr(sock, method)((target, 80)) in {None, 0}
        assert answer(sock) == "emulator"


def test_names_resolve_to_addresses_that_lead_to_the_emulator(emulator: Peer) -> None:
    with emulator.redirected():
        address = socket.gethostbyname(NAME)
        assert socket.gethostbyname_ex(NAME) == (NAME, [], [address])
        found = socket.getaddrinfo(NAME, "https", type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
        assert found == [(socket.AF_INET, socket.SOCK_STREAM, 6, NAME, (address, 443))]
        assert socket.gethostbyname(NAMES[1]) != address
        with socket.create_connection((address, 80)) as sock:
            assert answer(sock) == "emulator"


@needs_ipv6
def test_an_emulator_may_only_have_ipv6(emulator: Peer) -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("the loopback interface has no IPv6")
    here = ("::1", listening.getsockname()[1])
    with listening, redirected([NAME], plain=here, tls=here, ca=emulator.ca):
        with pytest.raises(socket.gaierror, match="only an IPv6 address"):
            socket.getaddrinfo(NAME, 80, socket.AF_INET)
        with socket.create_connection((NAME, 80)) as sock:
            assert sock.getpeername()[:2] == here


def test_a_client_may_send_no_name(emulator: Peer) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    with (
        emulator.redirected(),
        socket.create_connection((NAME, 443)) as plain,
        context.wrap_socket(plain) as sock,
    ):
        assert answer(sock) == "emulator"


def test_tls_can_begin_before_the_connection(emulator: Peer) -> None:
    with (
        emulator.redirected(),
        ssl.create_default_context().wrap_socket(socket.socket(), server_hostname=NAME) as sock,
    ):
        sock.connect((NAME, 443))
        assert answer(sock) == "emulator"


SENDS: dict[str, Callable[[socket.socket], object]] = {
    "sendto": lambda sock: sock.sendto(b"", (NAME, 443)),
    "sendto with flags": lambda sock: sock.sendto(b"", 0, (socket.gethostbyname(NAME), 443)),
    "sendmsg": lambda sock: sock.sendmsg([b""], [], 0, (NAME, 443)),
}


@pytest.mark.parametrize("name", SENDS)
def test_datagrams_are_refused(name: str, emulator: Peer) -> None:
    with (
        emulator.redirected(),
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        pytest.raises(ConnectionRefusedError, match=f"{NAME} is redirected .* only supports TCP"),
    ):
        SENDS[name](sock)


def test_datagram_endpoints_of_uvloop_are_refused(emulator: Peer) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(NAME, 443))

    with (
        emulator.redirected(),
        pytest.raises(ConnectionRefusedError, match=f"{NAME} is redirected .* only supports TCP"),
    ):
        run_on("uvloop", main)


def test_datagrams_of_a_connected_socket_are_refused(emulator: Peer) -> None:
    """The connection succeeds, as it would with a vendor without HTTP/3."""
    with emulator.redirected(), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect((NAME, 443))
        assert sock.getpeername() == emulator.tls
        sock.send(b"datagram")
        with pytest.raises(ConnectionRefusedError):
            sock.recv(1)


@pytest.mark.parametrize("loop", LOOPS)
def test_loops_connect_sockets_by_name(loop: str, emulator: Peer) -> None:
    async def main() -> bytes:
        running = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.settimeout(0)
            await running.sock_connect(sock, (NAME, 80))
            await running.sock_sendall(sock, b"GET / HTTP/1.0\r\n\r\n")
            received = b""
            while chunk := await running.sock_recv(sock, 4096):
                received += chunk
            return received

    with emulator.redirected():
        assert run_on(loop, main).endswith(b"\r\n\r\nemulator")
