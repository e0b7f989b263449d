from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given
from hypothesis import strategies as st
from tls_peers import DAY, NAMES, NOW, forged_address, forged_authority

from emulator.tls import authority as module
from emulator.tls.authority import Authority, Leaf, open_authority
from emulator.tls.folder import replace_file
from emulator.tls.unusable import AuthorityUnusable

PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
Damage = Callable[[Path], object]
FILES = ("ca.pem", "intermediate.pem", "intermediate.key")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return open_authority(tmp_path_factory.mktemp("data") / "tls", NAMES, NOW)


def fingerprints(authority: Authority) -> tuple[bytes, bytes]:
    return authority.root.fingerprint(hashes.SHA256()), authority.intermediate.fingerprint(hashes.SHA256())


def extensions_of(certificate: x509.Certificate) -> dict[type, tuple[x509.ExtensionType, bool]]:
    return {type(each.value): (each.value, each.critical) for each in certificate.extensions}


def verify(authority: Authority, leaf: Leaf, name: str, *between: x509.Certificate) -> None:
    """Verify a chain with a verifier that is independent of OpenSSL."""
    try:
        subject: x509.IPAddress | x509.DNSName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    verifier = (
        PolicyBuilder()
        .store(Store([authority.root]))
        .time(dt.datetime.fromtimestamp(NOW, dt.UTC))
        .build_server_verifier(subject)
    )
    chain = verifier.verify(leaf.certificate, [*between, authority.intermediate])
    assert chain == [leaf.certificate, *between, authority.intermediate, authority.root]


def test_the_intermediate_permits_only_the_names_and_loopback(made: Authority) -> None:
    extensions = extensions_of(made.intermediate)
    permitted = x509.NameConstraints(
        [
            *(x509.DNSName(name) for name in sorted([*NAMES, "localhost"])),
            x509.IPAddress(ipaddress.ip_network("127.0.0.1/32")),
            x509.IPAddress(ipaddress.ip_network("::1/128")),
        ],
        None,
    )
    assert extensions[x509.NameConstraints] == (permitted, True)
    assert extensions[x509.BasicConstraints] == (x509.BasicConstraints(ca=True, path_length=0), True)
    assert extensions[x509.ExtendedKeyUsage] == (
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        False,
    )
    assert made.names == {*NAMES, "localhost"}


def test_the_root_signs_one_intermediate(made: Authority) -> None:
    extensions = extensions_of(made.root)
    assert extensions[x509.BasicConstraints] == (x509.BasicConstraints(ca=True, path_length=1), True)
    made.root.verify_directly_issued_by(made.root)
    made.intermediate.verify_directly_issued_by(made.root)


def usage(*names: str) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{each: each in names for each in every})


def test_each_certificate_has_its_usage_and_names_the_key_of_its_issuer(made: Authority) -> None:
    leaf = made.issue(NAMES[0], NOW).certificate
    chain = [(leaf, made.intermediate), (made.intermediate, made.root), (made.root, made.root)]
    for certificate, issuer in chain:
        extensions = extensions_of(certificate)
        subject_key = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
        issuer_key = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())
        assert extensions[x509.SubjectKeyIdentifier] == (subject_key, False)
        assert extensions[x509.AuthorityKeyIdentifier] == (
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key),
            False,
        )
        of = ("digital_signature",) if certificate is leaf else ("key_cert_sign", "crl_sign")
        assert extensions[x509.KeyUsage] == (usage(*of), True)
        assert certificate.issuer == issuer.subject
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)


def test_the_authority_lives_ten_years_and_is_valid_a_day_ago(made: Authority) -> None:
    for certificate in (made.root, made.intermediate):
        assert certificate.not_valid_before_utc.timestamp() == NOW - DAY
        assert certificate.not_valid_after_utc.timestamp() == NOW - DAY + 3650 * DAY


def test_the_key_of_the_root_is_in_no_file(made: Authority) -> None:
    keys = [
        load_pem_private_key(pem, None).public_key()
        for file in made.folder.rglob("*")
        if file.is_file()
        for pem in PRIVATE_KEY.findall(file.read_bytes())
    ]
    assert keys == [made.intermediate.public_key()]
    assert made.root.public_key() != made.intermediate.public_key()


@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems have modes")
def test_only_the_owner_can_read_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    created: list[tuple[str, int]] = []

    def record(path: str, flags: int, mode: int = 0o777) -> int:
        handle = real_open(path, flags, mode)
        created.append((Path(path).name, stat.S_IMODE(os.fstat(handle).st_mode)))
        return handle

    real_open = os.open
    monkeypatch.setattr(os, "open", record)
    before = os.umask(0)
    try:
        open_authority(tmp_path / "data" / "tls", NAMES, NOW)
    finally:
        os.umask(before)
    # The mode is checked as soon as the file exists, when it is still empty.
    assert created == [
        ("intermediate.key.part", 0o600),
        ("intermediate.pem.part", 0o644),
        ("ca.pem.part", 0o644),
    ]
    assert stat.S_IMODE((tmp_path / "data" / "tls").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data" / "tls" / "intermediate.key").stat().st_mode) == 0o600


def test_an_authority_is_opened_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, module.__name__)
    first = open_authority(tmp_path, NAMES, NOW)
    assert caplog.messages == [f"created a certificate authority for TLS in {tmp_path}"]
    second = open_authority(tmp_path, [name.upper() + "." for name in NAMES], NOW + 100 * DAY)
    assert fingerprints(second) == fingerprints(first)
    assert second.key.private_numbers() == first.key.private_numbers()
    assert len(caplog.messages) == 1
    assert {file.name for file in tmp_path.iterdir()} == {*FILES, "lock"}


def test_a_new_name_makes_a_new_authority_that_still_permits_the_old_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = open_authority(tmp_path, ["a.example"], NOW)
    second = open_authority(tmp_path, ["b.example", "c.example"], NOW)
    (message,) = caplog.messages
    assert message == (
        f"created a new certificate authority for TLS in {tmp_path}, because the old one does not permit "
        "b.example, c.example; clients must trust the new one"
    )
    assert second.names == {"a.example", "b.example", "c.example", "localhost"}
    assert second.root.public_key() != first.root.public_key()
    assert second.root.subject != first.root.subject
    for names in (["a.example"], ["b.example"], ["sub.c.example"], []):
        assert fingerprints(open_authority(tmp_path, names, NOW)) == fingerprints(second)


@pytest.mark.parametrize(
    ("after", "fault"),
    [
        (3618 * DAY, None),
        (3619 * DAY - 1, None),
        (3619 * DAY, "expires on 2037-01-11"),
        (5000 * DAY, "expires on 2037-01-11"),
        (-DAY, None),
        (-DAY - 1, "is not valid before 2027-01-14"),
    ],
)
def test_an_authority_that_expires_within_30_days_is_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, after: float, fault: str | None
) -> None:
    first = open_authority(tmp_path, NAMES, NOW)
    second = open_authority(tmp_path, NAMES, NOW + after)
    assert (fingerprints(second) == fingerprints(first)) == (fault is None)
    message = (
        f"created a new certificate authority for TLS in {tmp_path}, because the old one {fault}; "
        "clients must trust the new one"
    )
    assert caplog.messages == ([] if fault is None else [message])
    assert fingerprints(open_authority(tmp_path, NAMES, NOW + after)) == fingerprints(second)


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def unconstrained(folder: Path) -> None:
    """Replace the authority by one without constraints."""
    one = open_authority(folder, NAMES, NOW)
    certificate = forged_authority(one, NOW).certificate
    key = ec.generate_private_key(ec.SECP256R1())
    builders = [
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
        for subject in (certificate.subject, one.intermediate.subject)
    ]
    for name, builder in zip(("ca.pem", "intermediate.pem"), builders, strict=True):
        (folder / name).write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "intermediate.key").write_bytes(pem_of(key))


def copy_from_another(name: str, source: str | None = None) -> Damage:
    def damage(folder: Path) -> None:
        open_authority(folder / "other", NAMES, NOW)
        (folder / name).write_bytes((folder / "other" / (source or name)).read_bytes())

    return damage


def write(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "file", "reason"),
    [
        (lambda folder: (folder / "intermediate.pem").unlink(), "intermediate.pem", "is missing"),
        (lambda folder: (folder / "intermediate.key").unlink(), "intermediate.key", "is missing"),
        (write("ca.pem", b""), "ca.pem", "is not a certificate"),
        (write("intermediate.pem", b"nothing"), "intermediate.pem", "is not a certificate"),
        (write("intermediate.key", b""), "intermediate.key", "is not a private key"),
        (
            write("intermediate.key", pem_of(rsa.generate_private_key(65537, 2048))),
            "intermediate.key",
            "is not a private key of an elliptic curve",
        ),
        (copy_from_another("ca.pem"), "intermediate.pem", "is not signed by ca.pem"),
        (copy_from_another("ca.pem", "intermediate.pem"), "ca.pem", "is not a root certificate"),
        (copy_from_another("intermediate.pem"), "intermediate.pem", "is not signed by ca.pem"),
        (copy_from_another("intermediate.key"), "intermediate.key", "is not the key of intermediate.pem"),
        (unconstrained, "intermediate.pem", "has no name constraints"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_files_are_reported_with_the_file_to_delete(
    tmp_path: Path, damage: Damage, file: str, reason: str
) -> None:
    first = open_authority(tmp_path, NAMES, NOW)
    damage(tmp_path)
    with pytest.raises(AuthorityUnusable) as caught:
        open_authority(tmp_path, NAMES, NOW)
    assert str(caught.value) == (
        f"the certificate authority in {tmp_path} cannot be used, because {file} {reason}; delete "
        f"{tmp_path / 'ca.pem'} to get a new authority at the next start, which clients must trust"
    )
    (tmp_path / "ca.pem").unlink()
    second = open_authority(tmp_path, NAMES, NOW)
    assert second.root.public_key() != first.root.public_key()
    assert fingerprints(open_authority(tmp_path, NAMES, NOW)) == fingerprints(second)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("has_old", [False, True])
@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("file", FILES)
def test_an_interrupted_creation_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, *, renamed: bool, has_old: bool
) -> None:
    if has_old:
        open_authority(tmp_path, ["old.example"], NOW)

    def killed(path: Path, content: bytes, mode: int = 0o644) -> None:
        if path.name != file or renamed:
            replace_file(path, content, mode)
        if path.name == file:
            if not renamed:
                path.with_name(f"{file}.part").write_bytes(content[:100])
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "replace_file", killed)
        with pytest.raises(Killed):
            open_authority(tmp_path, NAMES, NOW)
    made = open_authority(tmp_path, NAMES, NOW)
    assert made.permits(NAMES[0])
    assert fingerprints(open_authority(tmp_path, NAMES, NOW)) == fingerprints(made)
    assert {each.name for each in tmp_path.iterdir()} == {*FILES, "lock"}


OPENS = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives import hashes
from emulator.tls.authority import open_authority

print("ready", flush=True)
sys.stdin.readline()
made = open_authority(Path(sys.argv[1]), sys.argv[3:], float(sys.argv[2]))
print(made.root.fingerprint(hashes.SHA256()).hex(), made.key.private_numbers().private_value)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-c", OPENS, tmp_path / "data" / "tls", str(NOW), *NAMES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_processes_that_start_at_once_get_one_authority(
    tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    results = {process.communicate()[0] for process in processes}
    stored = open_authority(tmp_path / "data" / "tls", NAMES, NOW)
    assert results == {
        f"{stored.root.fingerprint(hashes.SHA256()).hex()} {stored.key.private_numbers().private_value}\n"
    }


def test_a_leaf_has_one_name_and_lives_197_days(made: Authority) -> None:
    leaf = made.issue("API-US.faceplusplus.com.", NOW)
    extensions = extensions_of(leaf.certificate)
    assert extensions[x509.SubjectAlternativeName] == (
        x509.SubjectAlternativeName([x509.DNSName("api-us.faceplusplus.com")]),
        False,
    )
    assert extensions[x509.ExtendedKeyUsage] == (
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        False,
    )
    assert extensions[x509.BasicConstraints] == (x509.BasicConstraints(ca=False, path_length=None), True)
    begin, end = leaf.certificate.not_valid_before_utc, leaf.certificate.not_valid_after_utc
    assert begin.timestamp() == NOW - DAY
    # Both ends are included.
    assert (end - begin).total_seconds() + 1 == 197 * DAY
    assert leaf.renew_at == begin.timestamp() + 0.8 * (end - begin).total_seconds()
    assert leaf.key.public_key() == leaf.certificate.public_key()


def test_the_leaf_of_localhost_is_valid_for_the_loopback_addresses(made: Authority) -> None:
    found = extensions_of(made.issue("localhost", NOW).certificate)[x509.SubjectAlternativeName][0]
    assert found == x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
    )


def test_a_leaf_does_not_live_longer_than_the_authority(made: Authority) -> None:
    late = made.issue("localhost", NOW + 3600 * DAY)
    assert late.certificate.not_valid_after_utc == made.intermediate.not_valid_after_utc


@pytest.mark.parametrize("name", [*NAMES, "localhost", "127.0.0.1", "::1"])
def test_a_chain_is_valid_by_the_rules_of_web_browsers(made: Authority, name: str) -> None:
    verify(made, made.issue(name if name in NAMES else "localhost", NOW), name)


LABELS = st.lists(
    st.sampled_from(["com", "faceplusplus", "api-us", "evil", "localhost", "makeupar"]),
    min_size=1,
    max_size=4,
)


@given(name=LABELS.map(".".join) | st.sampled_from([*NAMES, "evilapi-us.faceplusplus.com"]))
def test_a_name_is_permitted_exactly_if_a_verifier_accepts_its_leaf(made: Authority, name: str) -> None:
    leaf = made.issue(name, NOW)
    if made.permits(name):
        verify(made, leaf, name)
    else:
        with pytest.raises(VerificationError, match="name constraint"):
            verify(made, leaf, name)


def test_a_verifier_refuses_other_addresses_and_authorities(made: Authority) -> None:
    like = made.issue(NAMES[0], NOW)
    with pytest.raises(VerificationError, match="name constraint"):
        verify(made, forged_address(made, like, "10.0.0.1"), "10.0.0.1")
    below = forged_authority(made, NOW)
    signed = Authority(made.folder, made.root, below.certificate, below.key).issue(NAMES[0], NOW)
    with pytest.raises(VerificationError, match="path"):
        verify(made, signed, NAMES[0], below.certificate)


def test_the_signature_of_another_authority_is_refused(made: Authority, tmp_path: Path) -> None:
    other = open_authority(tmp_path, NAMES, NOW)
    with pytest.raises((InvalidSignature, ValueError)):
        other.intermediate.verify_directly_issued_by(made.root)
