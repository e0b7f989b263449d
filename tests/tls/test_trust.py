from __future__ import annotations

import configparser
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import certifi
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from tls_peers import NAMES, NOW

import face_api_emulator.trust
from emulator.tls import trust
from emulator.tls.authority import Authority, open_authority
from emulator.tls.folder import replace_file
from emulator.tls.trust import AuthorityReplaced, write_trust_files
from face_api_emulator.trust import STORE_PASSWORD, TrustFiles, public_roots

if sys.platform != "win32":
    import fcntl

CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path / "tls", NAMES, NOW)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for the system's bundle. It does not exist, and the system has no other roots."""
    path = tmp_path / "system.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nothing"))
    monkeypatch.setattr(face_api_emulator.trust, "SYSTEM_BUNDLES", ())
    return path


def roots_of(path: Path) -> list[bytes]:
    return [ssl.PEM_cert_to_DER_cert(pem) for pem in CERTIFICATE.findall(path.read_text())]


def der(authority: Authority) -> bytes:
    return authority.root.public_bytes(Encoding.DER)


def other_root(tmp_path: Path, name: str) -> bytes:
    return open_authority(tmp_path / name, [], NOW).root.public_bytes(Encoding.PEM)


def test_the_bundle_is_the_system_roots_and_ours(authority: Authority, tmp_path: Path, system: Path) -> None:
    system.write_bytes(b"".join(other_root(tmp_path, name) for name in "ab"))
    files = write_trust_files(authority)
    assert roots_of(files.bundle) == [*roots_of(system), der(authority)]
    assert roots_of(files.ca) == [der(authority)]
    assert files.ca == authority.folder / "ca.pem"


def test_the_trust_store_of_java_has_the_certificates_of_the_bundle(
    authority: Authority, tmp_path: Path, system: Path
) -> None:
    system.write_bytes(b"".join(other_root(tmp_path, name) for name in "ab"))
    files = write_trust_files(authority)
    store = load_pkcs12(files.trust_store.read_bytes(), STORE_PASSWORD.encode())
    assert (store.key, store.cert) == (None, None)
    found = {
        each.friendly_name: each.certificate.public_bytes(Encoding.DER) for each in store.additional_certs
    }
    assert found == {
        b"face-api-emulator": der(authority),
        **dict(zip((b"public-0", b"public-1"), roots_of(system), strict=True)),
    }


@pytest.mark.skipif(shutil.which("keytool") is None, reason="Java is not installed")
def test_java_sees_all_roots_as_trusted(authority: Authority) -> None:
    files = write_trust_files(authority)
    done = subprocess.run(  # noqa: S603 - a command that only lists
        ["keytool", "-list", "-keystore", files.trust_store, "-storepass", STORE_PASSWORD],  # noqa: S607 - on PATH
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("trustedCertEntry") == len(roots_of(files.bundle))
    assert "face-api-emulator, " in done.stdout


def test_a_system_without_roots_gets_those_of_certifi(system: Path) -> None:
    assert not system.exists()
    assert public_roots() == []
    assert set(public_roots(Path(certifi.where()))) == set(roots_of(Path(certifi.where())))


def test_a_file_without_certificates_is_skipped(
    tmp_path: Path, system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    (tmp_path / "real.pem").write_bytes(other_root(tmp_path, "a"))
    candidates = tuple(tmp_path / name for name in ("missing.pem", "empty.pem", "real.pem"))
    monkeypatch.setattr(face_api_emulator.trust, "SYSTEM_BUNDLES", candidates)
    system.write_text("nothing")
    assert public_roots() == roots_of(tmp_path / "real.pem")


def test_our_root_is_in_the_bundle_once_if_the_parent_already_trusts_it(
    authority: Authority, system: Path, tmp_path: Path
) -> None:
    system.write_bytes(other_root(tmp_path, "a"))
    files = write_trust_files(authority)
    first = files.bundle.read_bytes()
    system.write_bytes(first)
    assert write_trust_files(authority) == files
    assert files.bundle.read_bytes() == first


def test_the_files_can_be_in_another_folder_for_clients_of_other_users(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = write_trust_files(authority, Path("public"))
    public = tmp_path / "public"
    expected = ["bundle.pem", "ca.pem", "php", "truststore.p12"]
    assert sorted(each.name for each in public.iterdir()) == expected
    assert files == TrustFiles(*(public / name for name in ("ca.pem", "bundle.pem", "truststore.p12", "php")))
    assert roots_of(files.ca) == [der(authority)]
    assert b"PRIVATE KEY" not in b"".join(each.read_bytes() for each in public.rglob("*.p*"))


def test_the_files_of_a_newer_authority_are_not_overwritten(authority: Authority) -> None:
    newer = open_authority(authority.folder, ["new.example"], NOW)
    files = write_trust_files(newer)
    before = files.bundle.read_bytes()
    with pytest.raises(AuthorityReplaced) as caught:
        write_trust_files(authority)
    ca = authority.folder / "ca.pem"
    assert str(caught.value) == (
        f"{ca} belongs to a newer authority, which another process has created; start the emulator again "
        "to use it"
    )
    assert files.bundle.read_bytes() == before


WRITES = """
import sys
from pathlib import Path
from emulator.tls.authority import open_authority
from emulator.tls.trust import write_trust_files

print("ready", flush=True)
sys.stdin.readline()
write_trust_files(open_authority(Path(sys.argv[1]), [], float(sys.argv[2])))
"""


def test_processes_can_write_the_files_at_once(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-c", WRITES, tmp_path / "tls", str(NOW)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [(process.communicate()[1], process.returncode) for process in started] == [("", 0)] * 4
    made = open_authority(tmp_path / "tls", [], NOW)
    assert roots_of(tmp_path / "tls" / "bundle.pem")[-1] == der(made)
    assert not list((tmp_path / "tls").rglob("*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="the lock of Windows is another")
def test_the_files_are_written_under_the_lock(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def check(path: Path, content: bytes, mode: int = 0o644) -> None:
        with (authority.folder / "lock").open("ab") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        replace_file(path, content, mode)
        written.append(path.name)

    monkeypatch.setattr(trust, "replace_file", check)
    write_trust_files(authority)
    assert written == ["bundle.pem", "truststore.p12", "emulator.ini"]


@pytest.mark.parametrize("name", ["tls", "it's here"])
def test_php_reads_the_bundle(tmp_path: Path, name: str) -> None:
    files = write_trust_files(open_authority(tmp_path / name, [], NOW))
    parser = configparser.ConfigParser()
    parser.read_string("[php]\n" + (files.php / "emulator.ini").read_text())
    quote = '"' if "'" in name else "'"
    assert dict(parser["php"]) == {
        "openssl.cafile": f"{quote}{files.bundle}{quote}",
        "curl.cainfo": f"{quote}{files.bundle}{quote}",
    }


def test_openssl_loads_the_bundle(authority: Authority) -> None:
    files = write_trust_files(authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files.bundle)
    assert der(authority) in context.get_ca_certs(binary_form=True)
