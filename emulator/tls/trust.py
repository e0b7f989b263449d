"""Writes the files that make clients trust the authority."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

from emulator.tls.authority import Authority
from emulator.tls.folder import locked, replace_file
from emulator.tls.unusable import AuthorityUnusable
from face_api_emulator.trust import (
    CA,
    PHP_INI,
    STORE_PASSWORD,
    TrustFiles,
    php_ini,
    public_roots,
    trust_files,
)


class AuthorityReplaced(AuthorityUnusable):
    """Another process has created a new authority in the same folder."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, "belongs to a newer authority, which another process has created")

    def __str__(self) -> str:
        return f"{self.file} {self.reason}; start the emulator again to use it"


def write_trust_files(authority: Authority, folder: Path | None = None) -> TrustFiles:
    """Write the files for clients, and return their paths.

    By default, the files are in the authority's folder. Give another ``folder`` if clients run as users who
    cannot open that folder.

    Raises
    ------
    AuthorityReplaced
        If the authority's folder now contains another authority.
    """
    own = (folder or authority.folder).absolute()
    files = trust_files(own)
    root = authority.root.public_bytes(Encoding.DER)
    public = [each for each in public_roots(Path(certifi.where())) if each != root]
    files.php.mkdir(parents=True, exist_ok=True)
    # Several processes can start at once.
    with locked(authority.folder):
        pem = authority.root.public_bytes(Encoding.PEM)
        stored = authority.folder / CA
        if not stored.exists() or stored.read_bytes() != pem:
            raise AuthorityReplaced(stored)
        if own != authority.folder.absolute():
            replace_file(files.ca, pem)
        replace_file(files.bundle, "".join(map(ssl.DER_cert_to_PEM_cert, [*public, root])).encode())
        replace_file(files.trust_store, _trust_store(authority.root, public))
        replace_file(files.php / PHP_INI, php_ini(files.bundle))
    return files


def _trust_store(root: x509.Certificate, public: Sequence[bytes]) -> bytes:
    """Return a PKCS12 file with entries that Java trusts."""
    entries = [PKCS12Certificate(root, b"face-api-emulator")]
    entries += [
        PKCS12Certificate(certificate, f"public-{number}".encode())
        for number, certificate in enumerate(_parsed(public))
    ]
    return serialize_java_truststore(entries, BestAvailableEncryption(STORE_PASSWORD.encode()))


def _parsed(certificates: Iterable[bytes]) -> Iterator[x509.Certificate]:
    for der in certificates:
        with warnings.catch_warnings():
            # Some roots have serial numbers or parameters that are no longer allowed.
            warnings.simplefilter("ignore")
            try:
                certificate = x509.load_der_x509_certificate(der)
            except ValueError:
                continue
        yield certificate
