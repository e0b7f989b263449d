"""What the tests of TLS share: names, an authority, forged leaves, and a server."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from emulator.tls.authority import Authority, Leaf

NAMES = (
    "api-us.faceplusplus.com",
    "api-cn.faceplusplus.com",
    "yce-api-01.makeupar.com",
    "yce-us.s3-accelerate.amazonaws.com",
)

NOW = 1_800_000_000.0
"""2027-01-15, for tests that do not depend on the machine's time."""
DAY = 86_400.0

OUTSIDER, OUTSIDER_BY_COMMON_NAME = "example.com", "common.example"
OUTSIDER_ADDRESS = "127.0.0.2"


def forged(authority: Authority, like: Leaf, *names: x509.GeneralName, common_name: str) -> Leaf:
    """Return a leaf for other names, as an attacker with the key of the intermediate could create it."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(authority.intermediate.subject)
        .public_key(like.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(like.certificate.not_valid_before_utc)
        .not_valid_after(like.certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    for extension in like.certificate.extensions:
        if isinstance(
            extension.value, x509.SubjectKeyIdentifier | x509.AuthorityKeyIdentifier | x509.KeyUsage
        ):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return replace(like, certificate=builder.sign(authority.key, hashes.SHA256()))


def forged_address(authority: Authority, like: Leaf, address: str) -> Leaf:
    """Return a leaf for an IP address."""
    return forged(
        authority, like, x509.IPAddress(ipaddress.ip_address(address)), common_name="forged address"
    )


def forged_authority(authority: Authority, now: float) -> Leaf:
    """Return a certificate of another authority that the intermediate has signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    like = authority.issue("localhost", now).certificate
    usage = authority.intermediate.extensions.get_extension_for_class(x509.KeyUsage)
    issuer_key = like.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged authority")]))
        .issuer_name(authority.intermediate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(like.not_valid_before_utc)
        .not_valid_after(like.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage.value, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_key.value, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Leaf(certificate, key)


@contextlib.contextmanager
def serving(context: ssl.SSLContext, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve the text ``emulated`` over TLS, and yield the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def setup(self) -> None:
            # Here and not when the connection is accepted: this runs in a thread of the connection.
            self.request.settimeout(self.timeout)
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "8")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"emulated")

        def finish(self) -> None:
            super().finish()
            self.request.close()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Ignore clients that refuse the certificate."""

    with Server((host, 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield web.server_address[1]
        finally:
            web.shutdown()
            thread.join()


def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str | None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Perform a handshake in memory, and return both ends.

    If the server refuses, the client's error is raised, as it results from the server's alert.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    finished: set[ssl.SSLObject] = set()
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
                finished.add(end)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                if end is ends[0]:
                    raise
        if len(finished) == len(ends):
            return ends
    raise AssertionError("the handshake does not end")
