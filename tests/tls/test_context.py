from __future__ import annotations

import asyncio
import shutil
import ssl
import stat
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from tls_peers import DAY, NAMES, NOW, handshake, serving

from emulator.clock import machine_time
from emulator.tls.authority import Authority, Leaf, open_authority
from emulator.tls.context import leaf_context, server_context

LOCALHOST_SANS = (("DNS", "localhost"), ("IP Address", "127.0.0.1"), ("IP Address", "0:0:0:0:0:0:0:1"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return open_authority(tmp_path_factory.mktemp("tls"), NAMES, machine_time())


@pytest.fixture(scope="module")
def server(authority: Authority) -> ssl.SSLContext:
    return server_context(authority, NAMES, machine_time)


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.root.public_bytes(Encoding.PEM).decode())


def careless() -> ssl.SSLContext:
    """Return a client's context that accepts all certificates and names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def leaf_of(server: ssl.SSLContext, name: str | None) -> x509.Certificate:
    client, _ = handshake(server, careless(), name)
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", [*NAMES, NAMES[0].upper(), "localhost", "127.0.0.1", "::1"])
def test_the_name_that_a_client_asks_for_selects_the_leaf(
    authority: Authority, server: ssl.SSLContext, name: str, version: ssl.TLSVersion
) -> None:
    context = trusting(authority)
    context.minimum_version = context.maximum_version = version
    client, _ = handshake(server, context, name)
    sans = (("DNS", name.lower()),) if name.lower() in NAMES else LOCALHOST_SANS
    certificate = client.getpeercert()
    assert certificate is not None
    assert certificate["subjectAltName"] == sans
    assert client.version() == version.name.replace("_", ".")


def test_a_trailing_dot_is_ignored(server: ssl.SSLContext) -> None:
    dotted, plain = leaf_of(server, f"{NAMES[1]}."), leaf_of(server, NAMES[1])
    assert dotted == plain


def test_a_client_without_a_name_gets_the_leaf_of_localhost(server: ssl.SSLContext) -> None:
    assert leaf_of(server, None) == leaf_of(server, "localhost")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="Python does not send addresses as names")
@pytest.mark.parametrize(("address", "accepted"), [("127.0.0.1", True), ("::1", True), ("127.0.0.2", False)])
def test_a_loopback_address_as_a_name_gets_the_leaf_of_localhost(
    server: ssl.SSLContext, address: str, *, accepted: bool
) -> None:
    with serving(server) as port:
        done = subprocess.run(  # noqa: S603 - our own server
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", address],  # noqa: S607 - on PATH
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if accepted:
        received = x509.load_pem_x509_certificate(done.stdout[done.stdout.index("-----BEGIN") :].encode())
        assert received == leaf_of(server, "localhost")
    else:
        assert "unrecognized name" in done.stdout


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["example.com", f"sub.{NAMES[0]}", "faceplusplus.com", "local", "x" * 60])
def test_other_names_are_refused_with_an_alert(
    server: ssl.SSLContext, name: str, version: ssl.TLSVersion
) -> None:
    context = careless()
    context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError) as caught:
        handshake(server, context, name)
    assert caught.value.reason == "TLSV1_UNRECOGNIZED_NAME"


def test_a_client_that_does_not_trust_the_authority_refuses(server: ssl.SSLContext) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get"):
        handshake(server, ssl.create_default_context(), NAMES[0])


@pytest.mark.parametrize(
    ("offered", "selected"), [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), (["h2"], None)]
)
def test_only_http_1_1_is_negotiated(
    authority: Authority, server: ssl.SSLContext, offered: list[str], selected: str | None
) -> None:
    context = trusting(authority)
    context.set_alpn_protocols(offered)
    for end in handshake(server, context, NAMES[0]):
        assert end.selected_alpn_protocol() == selected


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_older_versions_of_tls_are_refused(server: ssl.SSLContext) -> None:
    context = careless()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError) as caught:
        handshake(server, context, NAMES[0])
    assert caught.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_a_leaf_is_replaced_after_80_percent_of_its_life(authority: Authority) -> None:
    time = NOW
    server = server_context(authority, NAMES, lambda: time)
    first = leaf_of(server, NAMES[0])
    # 0.8 of 197 days, from a day before now; the last second of the life belongs to it.
    limit = NOW - DAY + 0.8 * (197 * DAY - 1)
    time = limit - 1
    assert leaf_of(server, NAMES[0]) == first
    time = limit + 1
    second = leaf_of(server, NAMES[0])
    assert second.public_key() != first.public_key()
    assert second.not_valid_before_utc.timestamp() == int(time) - DAY
    assert leaf_of(server, NAMES[0]) == second


def test_each_name_has_a_leaf_that_is_made_once(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = []
    issue = Authority.issue

    def count(self: Authority, name: str, now: float) -> Leaf:
        issued.append(name)
        return issue(self, name, now)

    monkeypatch.setattr(Authority, "issue", count)
    server = server_context(authority, NAMES, machine_time)
    assert issued == []
    at_once = threading.Barrier(8)

    def call(name: str) -> x509.Certificate:
        at_once.wait()
        return leaf_of(server, name)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(call, [NAMES[0], NAMES[1]] * 4))
    assert sorted(issued) == sorted(NAMES[:2])
    assert len(set(found)) == 2


def test_names_that_the_authority_does_not_permit_are_refused(authority: Authority) -> None:
    with pytest.raises(ValueError, match=r"does not permit b\.example, example\.com$"):
        server_context(authority, ["example.com", "B.example.", *NAMES], machine_time)


def test_no_usable_key_is_ever_in_a_file(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    read = []
    load = ssl.SSLContext.load_cert_chain

    def spy(self: ssl.SSLContext, certfile: Path, **options: Any) -> None:
        content = certfile.read_bytes()
        with pytest.raises(TypeError, match="encrypted"):
            load_pem_private_key(content, None)
        read.append((content.count(b"BEGIN CERTIFICATE"), content.count(b"BEGIN ENCRYPTED PRIVATE KEY")))
        assert content.count(b"PRIVATE KEY") == 2
        assert stat.S_IMODE(certfile.parent.stat().st_mode) == 0o700
        load(self, certfile, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    leaf_context(authority, authority.issue(NAMES[0], NOW))
    assert read == [(2, 1)]
    assert list(tmp_path.iterdir()) == []


def test_an_asyncio_server_can_use_the_context(authority: Authority, server: ssl.SSLContext) -> None:
    async def names() -> list[str]:
        async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()
            await writer.wait_closed()

        listening = await asyncio.start_server(close, "127.0.0.1", 0, ssl=server)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            found = []
            for name in NAMES:
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=trusting(authority), server_hostname=name
                )
                found.append(writer.get_extra_info("peercert")["subjectAltName"][0][1])
                writer.close()
                await writer.wait_closed()
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection(
                    "127.0.0.1", port, ssl=trusting(authority), server_hostname="example.com"
                )
            return found

    assert asyncio.run(names()) == list(NAMES)
