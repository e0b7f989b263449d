"""The certificate authority. Clients accept its certificates only for the names that the emulator serves.

A self-signed root signs one intermediate, and the root's private key is then discarded without being written.
The intermediate signs the leaves. Its critical name constraints permit only the emulated names, ``localhost``
and the loopback addresses. The root has no constraints, because Java ignores constraints of a root. RFC 5280,
section 6.1, takes only a name and a key from a trust anchor.

The folder contains::

    ca.pem             the root, which clients trust; written last, so it marks a complete authority
    intermediate.pem   the intermediate, which servers send with their leaf
    intermediate.key   the intermediate's private key, mode 0600
    lock               locked while a process reads or writes the other files
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from emulator.tls.certificates import begun_certificate, issuer_key, moment, usage
from emulator.tls.folder import locked, replace_file
from emulator.tls.unusable import AuthorityUnusable
from face_api_emulator.trust import CA, normalized

logger = logging.getLogger(__name__)

INTERMEDIATE, KEY = "intermediate.pem", "intermediate.key"

LOCALHOST = "localhost"
LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("::1/128"))

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=197)
"""Below 200 days, the limit for leaves of public authorities. Apple limits all other leaves to 825 days."""
SKEW = timedelta(days=1)
"""How long before its creation a certificate becomes valid, for clients with slow clocks."""
RENEW_AUTHORITY_BEFORE = timedelta(days=30)
RENEW_LEAF_AFTER = 0.8
"""Fraction of a leaf's life after which the leaf is replaced."""


@dataclass(frozen=True)
class Leaf:
    """A server's certificate with its private key. The key is never written to a file without encryption."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def renew_at(self) -> float:
        """Time after which the leaf is replaced, in seconds since the Unix epoch."""
        begin, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return (begin + RENEW_LEAF_AFTER * (end - begin)).timestamp()


@dataclass(frozen=True)
class Authority:
    """A root without its key, and the intermediate that signs leaves.

    Attributes
    ----------
    folder : Path
        Folder with the files.
    root, intermediate : x509.Certificate
        The certificate that clients trust, and the one that servers send with their leaf.
    key : ec.EllipticCurvePrivateKey
        Key of the intermediate.
    """

    folder: Path
    root: x509.Certificate
    intermediate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def names(self) -> frozenset[str]:
        """Host names that the intermediate permits. The subdomains of these names are permitted too."""
        permitted = self.intermediate.extensions.get_extension_for_class(x509.NameConstraints).value
        return frozenset(
            name.value for name in permitted.permitted_subtrees or () if isinstance(name, x509.DNSName)
        )

    def permits(self, name: str) -> bool:
        """Return whether clients accept a leaf for ``name``."""
        asked = normalized(name)
        return any(asked == permitted or asked.endswith(f".{permitted}") for permitted in self.names)

    def issue(self, name: str, now: float) -> Leaf:
        """Return a new leaf for ``name``. A leaf for ``localhost`` is also valid for the loopback addresses.

        This function signs for any name. Clients refuse the leaf if the authority does not permit the name.
        """
        dns = normalized(name)
        sans: list[x509.GeneralName] = [x509.DNSName(dns)]
        if dns == LOCALHOST:
            sans += [x509.IPAddress(network.network_address) for network in LOOPBACK]
        key = ec.generate_private_key(ec.SECP256R1())
        begin = moment(now) - SKEW
        end = min(begin + LEAF_LIFE - timedelta(seconds=1), self.intermediate.not_valid_after_utc)
        certificate = (
            begun_certificate("server", self.intermediate.subject, begin, end, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(sans), critical=False)
            .add_extension(issuer_key(self.intermediate), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Leaf(certificate, key)


def open_authority(folder: Path, names: Collection[str], now: float) -> Authority:
    """Return the authority in ``folder``. Create a new one if there is none, or if it must be replaced.

    An authority is replaced if it does not permit one of ``names``, or expires within 30 days. The new one
    also permits the names of the old one, so that two emulators with different vendors can share a folder.

    This function waits for other processes that use the folder, so it must not run in an event loop.

    Parameters
    ----------
    folder : Path
        Folder of the authority. If it does not exist, it is created with the mode 0700.
    names : collection of str
        Host names that the authority must permit. ``localhost`` is always permitted.
    now : float
        The machine's time, in seconds since the Unix epoch. Not the emulator's time, because clients check
        certificates by their own clock.

    Raises
    ------
    AuthorityUnusable
        If the files are damaged or incomplete. The message names the file to delete.
    """
    needed = {LOCALHOST, *(normalized(name) for name in names)}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder):
        stored = _load(folder)
        if stored is None:
            made = _make(folder, needed, now)
            _store(made)
            logger.info("created a certificate authority for TLS in %s", folder)
            return made
        fault = _fault(stored, needed, now)
        if fault is None:
            return stored
        made = _make(folder, needed | stored.names, now)
        _store(made)
        logger.warning(
            "created a new certificate authority for TLS in %s, because the old one %s; clients must trust "
            "the new one",
            folder,
            fault,
        )
        return made


def _load(folder: Path) -> Authority | None:
    """Return the stored authority, or None if no complete authority is stored."""
    if not (folder / CA).exists():
        return None
    root = _read_certificate(folder / CA)
    intermediate = _read_certificate(folder / INTERMEDIATE)
    key = _read_key(folder / KEY)
    try:
        root.verify_directly_issued_by(root)
    except (InvalidSignature, TypeError, ValueError) as error:
        raise AuthorityUnusable(folder / CA, "is not a root certificate") from error
    try:
        intermediate.verify_directly_issued_by(root)
    except (InvalidSignature, TypeError, ValueError) as error:
        raise AuthorityUnusable(folder / INTERMEDIATE, f"is not signed by {CA}") from error
    if not _is_constrained(intermediate):
        raise AuthorityUnusable(folder / INTERMEDIATE, "has no name constraints")
    if key.public_key() != intermediate.public_key():
        raise AuthorityUnusable(folder / KEY, f"is not the key of {INTERMEDIATE}")
    return Authority(folder, root, intermediate, key)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise AuthorityUnusable(path, "is missing") from error


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read(path))
    except ValueError as error:
        raise AuthorityUnusable(path, "is not a certificate") from error


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(_read(path), None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise AuthorityUnusable(path, "is not a private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityUnusable(path, "is not a private key of an elliptic curve")
    return key


def _is_constrained(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return found.critical and bool(found.value.permitted_subtrees)


def _fault(authority: Authority, needed: Collection[str], now: float) -> str | None:
    """Return why clients refuse the leaves of an authority now or will within 30 days, or None."""
    missing = sorted(name for name in needed if not authority.permits(name))
    if missing:
        return f"does not permit {', '.join(missing)}"
    begin = max(each.not_valid_before_utc for each in (authority.root, authority.intermediate))
    end = min(each.not_valid_after_utc for each in (authority.root, authority.intermediate))
    if moment(now) < begin:
        return f"is not valid before {begin.date()}"
    if moment(now) >= end - RENEW_AUTHORITY_BEFORE:
        return f"expires on {end.date()}"
    return None


def _make(folder: Path, names: Collection[str], now: float) -> Authority:
    """Return a new authority. The root's private key is discarded."""
    begin = moment(now) - SKEW
    end = begin + AUTHORITY_LIFE
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # Different authorities have different names, so that a client that trusts several cannot confuse them.
    serial = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()).digest.hex()[:8]
    signs = usage(key_cert_sign=True, crl_sign=True)
    root = (
        begun_certificate(f"root {serial}", None, begin, end, root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(signs, critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
    permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted(names)]
    # Without a constraint on addresses, the intermediate could sign for all addresses.
    permitted += [x509.IPAddress(network) for network in LOOPBACK]
    intermediate = (
        begun_certificate(f"intermediate {serial}", root.subject, begin, end, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(issuer_key(root), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return Authority(folder, root, intermediate, key)


def _store(authority: Authority) -> None:
    """Write the files of an authority. If the process dies while writing, no authority counts as stored."""
    folder = authority.folder
    (folder / CA).unlink(missing_ok=True)
    key = authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    replace_file(folder / KEY, key, mode=0o600)
    replace_file(folder / INTERMEDIATE, authority.intermediate.public_bytes(Encoding.PEM))
    replace_file(folder / CA, authority.root.public_bytes(Encoding.PEM))
