"""The vendors' own names over TLS, through the proxy and through a listener of its own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings
from emulator.web.vendor import discover_vendors

API = "https://yce-api-01.makeupar.com"
STORE = "yce-us.s3-accelerate.amazonaws.com"
BEARER = {"Authorization": "Bearer k"}
FILES = {"files": [{"content_type": "image/jpg", "file_name": "a.jpg", "file_size": 5}]}


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, workers: WorkerPool) -> Iterator[Listening]:
    """A server with TLS."""
    folder = tmp_path_factory.mktemp("data")
    with running_server(Settings(data_dir=folder, control="on"), workers=workers, tls_port=0) as server:
        yield server


@pytest.fixture
def proxied(secure: Listening) -> Iterator[httpx.Client]:
    """A client that trusts the emulator, and uses it as its proxy."""
    context = ssl.create_default_context(cafile=str(secure.ca_file))
    with httpx.Client(proxy=secure.base_url, verify=context, trust_env=False, timeout=60) as client:
        yield client


def test_every_name_of_every_vendor_is_served(proxied: httpx.Client) -> None:
    for vendor in discover_vendors(Settings().vendor_packages):
        for host in (*vendor.hosts, *vendor.stores):
            assert proxied.get(f"https://{host}/_emulator/health").status_code in {403, 404}, host


def test_uploads_and_results_have_the_vendors_own_store(proxied: httpx.Client) -> None:
    asked = proxied.post(f"{API}/s2s/v2.0/file", json=FILES, headers=BEARER).json()
    request = asked["data"]["files"][0]["requests"][0]
    url = urlsplit(request["url"])
    assert (url.scheme, url.netloc) == ("https", STORE)
    assert url.path.startswith("/ttl30/")
    uploaded = proxied.put(request["url"], content=b"12345", headers=request["headers"])
    assert uploaded.status_code == 200, uploaded.text


def test_a_port_besides_443_is_kept_in_the_urls_of_the_store(secure: Listening) -> None:
    port = urlsplit(secure.tls_url or "").port
    with httpx.Client(verify=ssl.create_default_context(cafile=str(secure.ca_file))) as client:
        request = client.build_request(
            "POST",
            f"{secure.tls_url}/s2s/v2.0/file",
            json=FILES,
            headers={**BEARER, "Host": f"yce-api-01.makeupar.com:{port}"},
            extensions={"sni_hostname": "yce-api-01.makeupar.com"},
        )
        asked = client.send(request).json()
    url = asked["data"]["files"][0]["requests"][0]["url"]
    assert urlsplit(url).netloc == f"{STORE}:{port}"


def test_under_another_host_the_store_is_below_its_prefix(secure: Listening) -> None:
    asked = httpx.post(f"{secure.base_url}/s2s/v2.0/file", json=FILES, headers=BEARER).json()
    url = asked["data"]["files"][0]["requests"][0]["url"]
    assert url.startswith(f"{secure.base_url}/yce-us/ttl30/")


def test_under_a_vendors_name_there_is_no_control_api(proxied: httpx.Client, secure: Listening) -> None:
    answer = proxied.get("https://api-us.faceplusplus.com/_emulator/health")
    assert (answer.status_code, answer.json()) == (404, {"error_message": "API_NOT_FOUND"})
    plain = httpx.get(f"{secure.base_url}/_emulator/health", headers={"Host": "api-us.faceplusplus.com"})
    assert plain.json() == {"error_message": "API_NOT_FOUND"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "yce-api-01.makeupar.com", "example.com"])
def test_the_host_must_be_the_name_of_the_tls_connection(
    proxied: httpx.Client, secure: Listening, host: str
) -> None:
    answer = proxied.get("https://api-us.faceplusplus.com/_emulator/health", headers={"Host": host})
    assert answer.status_code == 421
    call = httpx.get(f"{secure.base_url}/_emulator/calls", params={"last": 1}).json()["calls"][0]
    assert (call["vendor"], call["status"], call["url"]) == ("server", 421, f"https://{host}")
    assert [warning["code"] for warning in call["warnings"]] == ["request-refused"]


def test_localhost_over_tls_serves_everything(secure: Listening) -> None:
    context = ssl.create_default_context(cafile=str(secure.ca_file))
    for host in ("localhost", "127.0.0.1"):
        url = f"https://{host}:{urlsplit(secure.tls_url or '').port}"
        assert httpx.get(f"{url}/_emulator/health", verify=context).status_code == 200
        assert httpx.post(f"{url}/facepp/v1/3dface", verify=context).status_code == 400


def test_other_names_get_no_certificate(secure: Listening) -> None:
    context = ssl.create_default_context(cafile=str(secure.ca_file))
    address = urlsplit(secure.tls_url or "")
    with (
        socket.create_connection((str(address.hostname), int(address.port or 0))) as plain,
        pytest.raises(OSError, match=r"(?i)reset|eof|unrecognized|alert"),
    ):
        context.wrap_socket(plain, server_hostname="example.com")


def test_only_http_1_1_is_offered(secure: Listening) -> None:
    context = ssl.create_default_context(cafile=str(secure.ca_file))
    context.set_alpn_protocols(["h2", "http/1.1"])
    address = urlsplit(secure.tls_url or "")
    with (
        socket.create_connection((str(address.hostname), int(address.port or 0))) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        assert secured.selected_alpn_protocol() == "http/1.1"


def test_the_authority_is_in_the_data_folder(secure: Listening) -> None:
    assert secure.ca_file is not None
    assert secure.ca_file.parent.name == "tls"
    assert (secure.ca_file.parent / "intermediate.key").stat().st_mode & 0o777 == 0o600


def test_without_a_data_folder_the_authority_belongs_to_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: WorkerPool
) -> None:
    """It stays the same from one start to the next, so clients keep their trust."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    files = []
    for _ in range(2):
        with running_server(workers=workers, tls_port=0) as server:
            assert server.ca_file is not None
            files.append((server.ca_file, server.ca_file.read_bytes()))
    assert files[0] == files[1]
    assert files[0][0] == tmp_path / "face-api-emulator" / "tls" / "ca.pem"
