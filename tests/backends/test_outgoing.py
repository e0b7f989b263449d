"""The addresses that the emulator calls."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.backends import outgoing
from emulator.backends.fetch import FetchFailed, HttpFetcher
from emulator.backends.outgoing import AddressPolicy, AddressRefused, Lookups, without_user
from emulator.webhooks.sender import HttpSender, SendFailed

METADATA = [
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254./",
    "http://2852039166/",
    "http://0xA9FEA9FE/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://169.254.0.1:8080/",
    "https://169.254.169.254/",
]


@contextlib.asynccontextmanager
async def redirecting(location: str) -> AsyncIterator[str]:
    """Serve a redirect to ``location`` on a free port. Yield the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def fetch(url: str, policy: AddressPolicy | None = None) -> str:
    """Return why a download fails."""
    fetcher = HttpFetcher(policy)
    try:
        with pytest.raises(FetchFailed) as caught:
            await fetcher.fetch(url, credential="a", limit=9, timeout_s=5)
    finally:
        await fetcher.close()
    return caught.value.reason


async def post(url: str, policy: AddressPolicy | None = None) -> str:
    """Return why a webhook cannot be sent."""
    sender = HttpSender(policy)
    try:
        with pytest.raises(SendFailed) as caught:
            await sender.post(url, {}, b"", timeout_s=5, on_sent=lambda: None)
    finally:
        await sender.close()
    return caught.value.reason


async def redirected(url: str) -> str:
    async with redirecting(url) as first:
        return await fetch(first)


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses that sockets connect to."""
    found: list[Any] = []
    connect = asyncio.SelectorEventLoop.sock_connect

    async def sock_connect(self: Any, sock: socket.socket, address: Any) -> None:
        found.append(address[0])
        await connect(self, sock, address)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", sock_connect)
    return found


@pytest.mark.parametrize("call", [fetch, post, redirected])
@pytest.mark.parametrize("url", METADATA)
def test_no_spelling_of_a_metadata_or_link_local_address_is_called(
    call: Callable[[str], Coroutine[Any, Any, str]], url: str, connects: list[Any]
) -> None:
    assert "which the emulator never calls" in asyncio.run(call(url))
    assert set(connects) <= {"127.0.0.1"}  # the redirect


@pytest.mark.parametrize(
    "url", ["http://0251.0376.0251.0376/", "http://[fe80::1%25lo]/", "http://169.254.169.254:0/"]
)
def test_what_is_no_url_is_not_called(url: str, connects: list[Any]) -> None:
    asyncio.run(fetch(url))
    asyncio.run(post(url))
    assert connects == []


def resolve(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> None:
    """Make names resolve to these addresses."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else str(host)
        if text in names and not kwargs.get("flags"):
            return [each for address in names[text] for each in real(address, port, *args, **kwargs)]
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("addresses", [["169.254.169.254"], ["127.0.0.1", "169.254.169.254"], ["fe80::1"]])
@pytest.mark.parametrize("call", [fetch, post, redirected])
def test_a_name_of_such_an_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[str], Coroutine[Any, Any, str]],
    addresses: list[str],
    connects: list[Any],
) -> None:
    resolve(monkeypatch, {"rebound.example": addresses})
    assert "which the emulator never calls" in asyncio.run(call("http://rebound.example/"))
    assert set(connects) <= {"127.0.0.1"}


def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the address that was checked, without a second lookup."""
    resolve(monkeypatch, {"two.example": ["::1", "127.0.0.1"]})

    async def run() -> str:
        async with redirecting("http://169.254.1.1/") as url:
            return await fetch(url.replace("127.0.0.1", "two.example"))

    assert "169.254.1.1 is a link-local address" in asyncio.run(run())


@given(address=st.ip_addresses(v=4))
def test_an_embedded_address_is_judged_as_the_address_itself(address: ipaddress.IPv4Address) -> None:
    def is_refused(text: str) -> bool:
        try:
            AddressPolicy.check_address(text)
        except AddressRefused:
            return True
        return False

    value = int(address)
    embedded = [
        f"::ffff:{address}", f"64:ff9b::{address}", f"::ffff:0:{address}",
        f"2002:{value >> 16:x}:{value & 0xFFFF:x}::", f"fe80::{value & 0xFFFF:x}%lo",
    ]  # fmt: skip
    expected = is_refused(str(address))
    assert [is_refused(text) for text in embedded] == [expected] * 4 + [True]
    assert expected == (
        address.is_link_local or str(address) in {"100.100.100.200", "168.63.129.16", "192.0.0.192"}
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fd00::1", "8.8.8.8"])
def test_loopback_private_and_public_addresses_are_allowed(address: str) -> None:
    AddressPolicy.check_address(address)


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("127.0.0.1", True),
        ("photos.example", True),
        ("PHOTOS.example.", True),
        ("a.cdn.example", True),
        ("cdn.example", False),
        ("photos.example.evil", False),
        ("evilphotos.example", False),
        ("2130706433", False),
        ("::1", True),
        ("localhost", False),
    ],
)
def test_a_setting_allows_named_hosts_only(host: str, *, is_allowed: bool) -> None:
    policy = AddressPolicy(("127.0.0.1", "Photos.example", "*.cdn.example", "[::1]"))
    context = (
        contextlib.nullcontext() if is_allowed else pytest.raises(AddressRefused, match="outgoing_hosts")
    )
    with context:
        policy.check_host(host)


@pytest.mark.parametrize("call", [fetch, post])
def test_named_hosts_are_checked_before_the_lookup(
    call: Callable[[str, AddressPolicy], Coroutine[Any, Any, str]], connects: list[Any]
) -> None:
    reason = asyncio.run(call("http://127.0.0.1:9/", AddressPolicy(("photos.example",))))
    assert reason == "127.0.0.1 is not in the setting `outgoing_hosts`"
    assert connects == []


def test_a_redirect_to_a_host_that_is_not_named_is_refused() -> None:
    async def run() -> str:
        async with redirecting("http://localhost/") as url:
            return await fetch(url, AddressPolicy(("127.0.0.1",)))

    assert asyncio.run(run()) == "localhost is not in the setting `outgoing_hosts`"


def test_slow_lookups_of_one_caller_do_not_delay_another(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading  # noqa: PLC0415 - needed only here

    may_end = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host == "slow.example" and not kwargs.get("flags"):
            may_end.wait(30)
        return real("127.0.0.1" if not kwargs.get("flags") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(outgoing, "LOOKUPS", 4)

    async def run() -> None:
        lookups = Lookups()
        slow = [asyncio.create_task(lookups.addresses("slow.example", 80, "a")) for _ in range(20)]
        for _ in range(8):
            assert await lookups.addresses("quick.example", 80, "b") == ["127.0.0.1"]
        assert not any(each.done() for each in slow)
        may_end.set()
        assert await asyncio.gather(*slow) == [["127.0.0.1"]] * 20

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:pass@host/a", "http://***@host/a"),
        ("a http://u@h and https://u:p@h:1/?x=a@b", "a http://***@h and https://***@h:1/?x=a@b"),
        ("http://host/a@b", "http://host/a@b"),
        ("http://us@er:pa@ss@host/", "http://***@host/"),
        ("mail me@example.com", "mail me@example.com"),
        ("?u=http%3A%2F%2Fuser%3Ap%40ss%40host%2Fa%40b", "?u=http%3A%2F%2F***%40host%2Fa%40b"),
        (r'{"u":"http:\/\/user:pass@host\/a@b"', r'{"u":"http:\/\/***@host\/a@b"'),
    ],
)
def test_user_names_and_passwords_of_urls_are_not_shown(text: str, shown: str) -> None:
    assert without_user(text) == shown
