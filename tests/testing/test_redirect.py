from __future__ import annotations

import _socket
import asyncio
import contextlib
import gc
import http.client
import os
import socket
import ssl
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpcore
import httpx
import pytest
import requests
import uvloop
from aiohttp.connector import TCPConnector
from redirect_peers import ASYNCHRONOUS, LOOPS, NAME, NAMES, SYNCHRONOUS, Peer, Trust, needs_ipv6, peer

from emulator.backends.queue.pool import WorkerPool
from emulator.clock import machine_time
from emulator.server import running_server
from emulator.settings import Settings
from emulator.testing.redirect import redirected
from emulator.tls.authority import open_authority
from emulator.tls.context import leaf_context
from emulator.web.vendor import discover_vendors

TRUSTS: dict[str, Callable[[Peer], Trust]] = {
    "file": lambda vendor: vendor.ca_file,
    "context": lambda vendor: vendor.context(),
    "default": lambda _: None,
}

PATCHED: tuple[tuple[Any, str], ...] = (
    (_socket, "getaddrinfo"),
    *((socket, name) for name in ("gethostbyname", "gethostbyname_ex", "getnameinfo")),
    *((socket.socket, name) for name in ("connect", "connect_ex", "sendto", "sendmsg")),
    *((ssl.SSLContext, name) for name in ("wrap_socket", "wrap_bio")),
    *((asyncio.BaseEventLoop, name) for name in ("create_connection", "getaddrinfo")),
    *((uvloop.Loop, name) for name in ("create_connection", "getaddrinfo", "create_datagram_endpoint")),
    (TCPConnector, "_resolve_host"),
    *((each, "create_connection") for each in (httpcore.HTTPProxy, httpcore.AsyncHTTPProxy)),
)


def state() -> list[object]:
    """Return everything that a redirect changes."""
    return [
        *(vars(owner).get(name) for owner, name in PATCHED),
        list(sys.meta_path),
        {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")},
    ]


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A server in the place of the vendor."""
    with peer("vendor", tmp_path_factory.mktemp("vendor")) as server:
        yield server


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A server in the place of the emulator."""
    with peer("emulator", tmp_path_factory.mktemp("emulator")) as server:
        yield server


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A second emulator."""
    with peer("another", tmp_path_factory.mktemp("another")) as server:
        yield server


@pytest.fixture(autouse=True)
def _name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve the vendors' names to the loopback interface, and no other names."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    # The first two would replace the authorities that a test gives to requests.
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    original = _socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in NAMES:
            return original("127.0.0.1", *arguments)
        if name in {"localhost", None} or name.replace(".", "").isdecimal() or ":" in name:
            return original(host, *arguments)
        raise socket.gaierror(socket.EAI_NONAME, "no such name in this test")

    async def loop_getaddrinfo(_self: Any, host: Any, port: Any, **options: Any) -> Any:
        return socket.getaddrinfo(host, port, **options)

    connect = uvloop.Loop.create_connection

    async def create_connection(
        self: Any, factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        if host in NAMES:
            if options.get("ssl"):
                options.setdefault("server_hostname", host)
            host = "127.0.0.1"
        return await connect(self, factory, host, port, **options)

    monkeypatch.setattr(_socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(uvloop.Loop, "getaddrinfo", loop_getaddrinfo)
    monkeypatch.setattr(uvloop.Loop, "create_connection", create_connection)


@pytest.fixture(autouse=True)
def _nothing_is_left(_name_server: None) -> Iterator[None]:
    before = state()
    yield
    assert state() == before


def run(loop: str, main: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main())


@pytest.mark.parametrize("trust", TRUSTS)
@pytest.mark.parametrize("library", SYNCHRONOUS)
def test_a_client_made_earlier_reaches_the_emulator_and_then_the_vendor_again(
    library: str, trust: str, vendor: Peer, emulator: Peer
) -> None:
    """It asks the same URL, so it would use its pooled connections if they were still open."""
    is_known = trust != "default"
    with SYNCHRONOUS[library](TRUSTS[trust](vendor)) as get:
        if is_known:
            assert get(vendor.url) == "vendor"
        with emulator.redirected():
            assert [get(vendor.url), get(f"https://{NAME}/"), get(f"http://{NAME}/")] == ["emulator"] * 3
            with SYNCHRONOUS[library](TRUSTS[trust](vendor)) as get_later:
                assert get_later(vendor.url) == "emulator"
        if is_known:
            assert get(vendor.url) == "vendor"
        else:
            with pytest.raises(Exception, match=r"(?i)certificate"):
                get(vendor.url)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("trust", TRUSTS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_an_asynchronous_client_made_earlier_reaches_the_emulator_and_then_the_vendor_again(
    library: str, trust: str, loop: str, vendor: Peer, emulator: Peer
) -> None:
    """The redirect begins and ends while the loop does not run, as in a fixture."""
    is_known = trust != "default"
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        clients = contextlib.AsyncExitStack()

        async def connect() -> Any:
            return await clients.enter_async_context(ASYNCHRONOUS[library](TRUSTS[trust](vendor)))

        async def ask(get: Any, *urls: str) -> list[str]:
            return [await get(url) for url in urls]

        get = runner.run(connect())
        if is_known:
            assert runner.run(ask(get, vendor.url)) == ["vendor"]
        with emulator.redirected():
            urls = (vendor.url, f"https://{NAME}/", f"http://{NAME}/")
            assert runner.run(ask(get, *urls)) == ["emulator"] * 3
            assert runner.run(ask(runner.run(connect()), vendor.url)) == ["emulator"]
        if is_known:
            assert runner.run(ask(get, vendor.url)) == ["vendor"]
        else:
            with pytest.raises(Exception, match=r"(?i)certificate"):
                runner.run(ask(get, vendor.url))
        runner.run(clients.aclose())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_a_redirect_begins_and_ends_in_a_coroutine(
    library: str, loop: str, vendor: Peer, emulator: Peer
) -> None:
    """The next request follows at once, before the loop notices that connections have ended."""

    async def main() -> list[str]:
        async with ASYNCHRONOUS[library](vendor.context()) as get:
            texts = [await get(vendor.url)]
            with emulator.redirected():
                texts += [await get(vendor.url), await get(vendor.url)]
            return [*texts, await get(vendor.url)]

    assert run(loop, main) == ["vendor", "emulator", "emulator", "vendor"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_a_redirect_begins_and_ends_in_another_thread(
    library: str, loop: str, vendor: Peer, emulator: Peer
) -> None:
    """The loop runs, so it must be asked to close the connections."""

    async def main() -> list[str]:
        async with ASYNCHRONOUS[library](vendor.context()) as get:
            texts = [await get(vendor.url)]
            redirect = emulator.redirected()
            await asyncio.to_thread(redirect.__enter__)
            texts += [await get(vendor.url), await get(vendor.url)]
            await asyncio.to_thread(redirect.__exit__, None, None, None)
            return [*texts, await get(vendor.url)]

    assert run(loop, main) == ["vendor", "emulator", "emulator", "vendor"]


@pytest.mark.parametrize("library", SYNCHRONOUS)
def test_certificates_are_verified(library: str, vendor: Peer, emulator: Peer) -> None:
    with (
        SYNCHRONOUS[library](emulator.context()) as get,
        redirected(NAMES, plain=emulator.plain, tls=emulator.tls, ca=vendor.ca),
        pytest.raises(Exception, match=r"(?i)certificate"),
    ):
        get(f"https://{NAME}/")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_certificates_are_verified_by_asynchronous_clients(
    library: str, loop: str, vendor: Peer, emulator: Peer
) -> None:
    async def main() -> None:
        async with ASYNCHRONOUS[library](emulator.context()) as get:
            await get(f"https://{NAME}/")

    with (
        redirected(NAMES, plain=emulator.plain, tls=emulator.tls, ca=vendor.ca),
        pytest.raises(Exception, match=r"(?i)certificate"),
    ):
        run(loop, main)


def test_names_in_certificates_are_verified(tmp_path: Path) -> None:
    authority = open_authority(tmp_path, frozenset(NAMES), machine_time())
    context = leaf_context(authority, authority.issue(NAMES[1], machine_time()))
    with peer("wrong", tmp_path, context) as wrong, wrong.redirected():
        with pytest.raises(httpx.ConnectError, match="Hostname mismatch"):
            httpx.get(f"https://{NAME}/")
        assert httpx.get(f"https://{NAMES[1]}/").text == "wrong"


def test_a_client_that_verifies_nothing_still_verifies_nothing(vendor: Peer, emulator: Peer) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        httpx.Client(verify=context) as client,
        redirected(NAMES, plain=emulator.plain, tls=emulator.tls, ca=vendor.ca),
    ):
        assert client.get(f"https://{NAME}/").text == "emulator"


def test_the_context_of_the_client_does_not_change(vendor: Peer, emulator: Peer) -> None:
    context = vendor.context()
    before = context.get_ca_certs(), context.options, context.verify_flags, context.verify_mode
    with httpx.Client(verify=context) as client, emulator.redirected():
        assert client.get(f"https://{NAME}/").text == "emulator"
    assert (context.get_ca_certs(), context.options, context.verify_flags, context.verify_mode) == before


def test_a_strict_context_is_accepted(emulator: Peer) -> None:
    """Python 3.13 sets these flags by default. The vendors' revocation lists do not apply."""
    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with emulator.redirected():
        assert httpx.get(f"https://{NAME}/", verify=context).text == "emulator"


def test_the_authority_is_only_trusted_for_the_names(emulator: Peer) -> None:
    with emulator.redirected(), pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
        httpx.get(f"https://localhost:{emulator.tls[1]}/")


def test_other_names_are_not_redirected(vendor: Peer, emulator: Peer) -> None:
    with emulator.redirected(NAMES[1]):
        assert httpx.get(vendor.url, verify=vendor.context()).text == "vendor"


@pytest.mark.parametrize("name", [NAME.upper(), f"{NAME}."])
def test_names_have_several_spellings(name: str, emulator: Peer) -> None:
    with emulator.redirected(), requests.Session() as session:
        assert session.get(f"https://{name}/").text == "emulator"
    with emulator.redirected(name), requests.Session() as session:
        assert session.get(f"https://{NAME}/").text == "emulator"


# Sockets without a library


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


def test_datagrams_are_refused(emulator: Peer) -> None:
    with emulator.redirected(), socket.socket(type=socket.SOCK_DGRAM) as sock:
        for send in (
            lambda: sock.sendto(b"", (NAME, 443)),
            lambda: sock.sendto(b"", 0, (socket.gethostbyname(NAME), 443)),
            lambda: sock.sendmsg([b""], [], 0, (NAME, 443)),
        ):
            with pytest.raises(ConnectionRefusedError, match="only supports TCP"):
                cast("Callable[[], object]", send)()


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
        assert run(loop, main).endswith(b"\r\n\r\nemulator")


# Proxies


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("library", SYNCHRONOUS)
def test_proxies_in_the_environment_are_not_used(
    library: str, variable: str, emulator: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv(variable, f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with SYNCHRONOUS[library](None) as get, emulator.redirected():
            assert [get(f"https://{NAME}/"), get(f"http://{NAME}/")] == ["emulator"] * 2
            with SYNCHRONOUS[library](None) as get_later:
                assert [get_later(f"https://{NAME}/"), get_later(f"http://{NAME}/")] == ["emulator"] * 2


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_asynchronous_clients_do_not_use_proxies_in_the_environment(
    library: str, loop: str, emulator: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> list[str]:
        async with ASYNCHRONOUS[library](None) as get:
            with emulator.redirected():
                texts = [await get(f"https://{NAME}/"), await get(f"http://{NAME}/")]
                async with ASYNCHRONOUS[library](None) as get_later:
                    return [*texts, await get_later(f"https://{NAME}/")]

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        for variable in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert run(loop, main) == ["emulator"] * 3


def test_the_hosts_without_a_proxy_are_kept(emulator: Peer) -> None:
    names = ",".join(sorted(NAMES))
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("no_proxy", "localhost")
        with emulator.redirected():
            assert os.environ["no_proxy"] == f"localhost,{names}"
            assert os.environ["NO_PROXY"] == names
            with emulator.redirected("zoo.example"):
                assert os.environ["no_proxy"] == f"localhost,{names},zoo.example"
            assert os.environ["no_proxy"] == f"localhost,{names}"
        assert os.environ["no_proxy"] == "localhost"
        assert "NO_PROXY" not in os.environ


def test_a_test_may_change_the_hosts_without_a_proxy(emulator: Peer) -> None:
    with emulator.redirected():
        with pytest.MonkeyPatch.context() as changed:
            changed.setenv("NO_PROXY", "*")
            with emulator.redirected("zoo.example"):
                assert os.environ["NO_PROXY"] == "*"
        assert os.environ["NO_PROXY"] == ",".join(sorted(NAMES))


# Ends, nesting, threads


def test_an_exception_ends_the_redirect(emulator: Peer) -> None:
    before = state()
    redirect = emulator.redirected()
    redirect.__enter__()
    during = state()
    assert not redirect.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert state() == before != during


def test_a_redirect_that_cannot_begin_leaves_nothing(emulator: Peer) -> None:
    before = state()
    with (
        pytest.raises(OSError, match="no such name"),
        redirected(NAMES, plain=("nowhere.invalid", 80), tls=emulator.tls, ca=emulator.ca),
    ):
        pass
    assert state() == before


@pytest.mark.parametrize("library", SYNCHRONOUS)
def test_the_inner_redirect_wins(library: str, emulator: Peer, another: Peer) -> None:
    with SYNCHRONOUS[library](None) as get, emulator.redirected():
        texts = [get(f"https://{NAME}/")]
        with another.redirected(NAME):
            texts += [get(f"https://{NAME}/"), get(f"https://{NAMES[1]}/")]
        assert [*texts, get(f"https://{NAME}/")] == ["emulator", "another", "emulator", "emulator"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_the_inner_redirect_wins_for_asynchronous_clients(
    library: str, loop: str, emulator: Peer, another: Peer
) -> None:
    async def main() -> list[str]:
        async with ASYNCHRONOUS[library](None) as get:
            with emulator.redirected():
                texts = [await get(f"https://{NAME}/"), await get(f"http://{NAME}/")]
                with another.redirected(NAME):
                    texts += [await get(f"https://{NAME}/"), await get(f"http://{NAME}/")]
                return [*texts, await get(f"https://{NAME}/"), await get(f"http://{NAME}/")]

    assert run(loop, main) == [*["emulator"] * 2, *["another"] * 2, *["emulator"] * 2]


def test_redirects_can_end_in_the_order_in_which_they_began(emulator: Peer, another: Peer) -> None:
    before = state()
    first, second = emulator.redirected(), another.redirected()
    with httpx.Client() as client:
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert client.get(f"https://{NAME}/").text == "another"
        second.__exit__(None, None, None)
    assert state() == before


def test_equal_redirects_share_their_connections(emulator: Peer) -> None:
    with emulator.redirected(), requests.Session() as session:
        with emulator.redirected(), session.get(f"https://{NAME}/", stream=True) as pending:
            pass
        with session.get(f"https://{NAME}/", stream=True) as pending:
            with emulator.redirected():
                pass
            assert pending.text == "emulator"


def test_several_threads_redirect_at_once(emulator: Peer) -> None:
    before = state()
    start = threading.Barrier(8)

    def ask(_: int) -> list[str]:
        start.wait()
        texts = []
        for _ in range(5):
            with emulator.redirected(), requests.Session() as session:
                texts.append(session.get(f"https://{NAME}/").text)
        return texts

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [["emulator"] * 5] * 8
    assert state() == before


def test_a_patch_of_somebody_else_is_left_alone(emulator: Peer) -> None:
    """It calls ours, which then only calls the original."""
    original = socket.gethostbyname
    try:
        with emulator.redirected():
            ours = socket.gethostbyname

            def theirs(name: str) -> str:
                return ours(name)

            socket.gethostbyname = theirs
        assert socket.gethostbyname is theirs
        assert theirs("127.0.0.1") == "127.0.0.1"
    finally:
        socket.gethostbyname = original


def test_connections_of_a_redirect_can_be_collected(emulator: Peer) -> None:
    with emulator.redirected():
        connection = http.client.HTTPSConnection(NAME, timeout=20)
        connection.connect()
        closed = weakref.ref(connection.sock)
        connection.close()
        gc.collect()
        assert closed() is None


LATE = """
import sys
from emulator.testing.redirect import redirected
name, host, plain, tls, ca = sys.argv[1:]
with redirected([name], plain=(host, int(plain)), tls=(host, int(tls)), ca=open(ca).read()):
    import asyncio, aiohttp, httpx, uvloop
    async def main():
        async with aiohttp.ClientSession() as session, httpx.AsyncClient() as client:
            async with session.get(f"https://{name}/") as answer:
                print(await answer.text(), (await client.get(f"https://{name}/")).text)
    asyncio.run(main())
    uvloop.run(main())
print("getaddrinfo" in vars(uvloop.Loop), aiohttp.connector.TCPConnector._resolve_host.__module__)
print(type(uvloop.__spec__.loader).__module__, type(uvloop.__loader__).__module__)
"""


def test_libraries_may_be_imported_later(emulator: Peer) -> None:
    arguments = [NAME, emulator.plain[0], str(emulator.plain[1]), str(emulator.tls[1]), str(emulator.ca_file)]
    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", LATE, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        *["emulator emulator"] * 2,
        "False aiohttp.connector",
        *["_frozen_importlib_external _frozen_importlib_external"],
    ]


# The emulator itself


def test_every_name_of_every_vendor_leads_to_the_emulator(tmp_path: Path, workers: WorkerPool) -> None:
    vendors = discover_vendors(Settings().vendor_packages)
    names = [name for vendor in vendors for name in (*vendor.hosts, *vendor.stores)]
    with running_server(Settings(data_dir=tmp_path, control="on"), workers=workers, tls_port=0) as server:
        plain, tls = urlsplit(server.base_url), urlsplit(server.tls_url or "")
        assert server.ca_file is not None
        with (
            requests.Session() as session,
            redirected(
                names,
                plain=(str(plain.hostname), int(plain.port or 0)),
                tls=(str(tls.hostname), int(tls.port or 0)),
                ca=server.ca_file.read_text(),
            ),
        ):
            for name in names:
                for scheme in ("http", "https"):
                    # Under a vendor's name, only the vendor's API answers.
                    answer = session.get(f"{scheme}://{name}/_emulator/health")
                    assert answer.status_code in {403, 404}, name
            said = session.post("https://api-us.faceplusplus.com/facepp/v1/3dface")
            assert (said.status_code, said.json()["error_message"]) == (400, "MISSING_ARGUMENTS: api_key")
