"""The environment variables, with the certificates of an emulator on this or another machine."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.client import Client, ControlError
from face_api_emulator.client.variables import trusted, variables_of
from face_api_emulator.trust import environment, trust_files

UPLOAD = """
import requests
keys = {"api_key": "a", "api_secret": "b"}
answer = requests.post("https://api-us.faceplusplus.com/facepp/v1/3dface", data=keys)
print(answer.json()["error_message"])
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def secure(data: Path, workers: WorkerPool) -> Iterator[Listening]:
    with running_server(Settings(data_dir=data), workers=workers, tls_port=0) as server:
        yield server


def test_files_of_an_emulator_on_this_machine_are_used_in_place(secure: Listening) -> None:
    with Client(secure.base_url) as client:
        tls = client.health().tls
        assert tls is not None
        assert trusted(client, Path(tls.folder)) == trust_files(Path(tls.folder))


def test_a_client_trusts_copies_of_the_files_of_another_machine(
    secure: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # The other machine's folder exists here too, but with the files of another emulator.
    other = trust_files(tmp_path)
    other.ca.write_text("of another emulator")
    other.bundle.write_text("of another emulator")
    with Client(secure.base_url) as client:
        copies = trusted(client, tmp_path)
        assert copies.ca.read_bytes() == client.certificates("ca.pem")
        assert copies.trust_store.read_bytes() == client.certificates("truststore.p12")
    assert copies.ca.is_relative_to(tmp_path / "cache")
    assert sorted(each.name for each in copies.ca.parent.iterdir()) == [
        "bundle.pem", "ca.pem", "php", "truststore.p12",
    ]  # fmt: skip
    context = ssl.create_default_context(cafile=copies.bundle)
    assert len(context.get_ca_certs()) > 1
    assert str(copies.bundle) in (copies.php / "emulator.ini").read_text()


def test_a_process_with_the_variables_reaches_an_emulator_on_another_machine(
    secure: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Client(secure.base_url) as client:
        files = trusted(client, tmp_path / "not here")
    assert files.bundle.is_relative_to(tmp_path)
    variables = environment(files, ["api-us.faceplusplus.com"], secure.base_url, os.environ)
    ran = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", UPLOAD],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "MISSING_ARGUMENTS: image_url_1, image_file_1, image_base64_1\n"


def test_without_tls_there_are_no_certificates(server: Listening) -> None:
    with Client(server.base_url) as client:
        assert client.health().tls is None
        assert "SSL_CERT_FILE" not in variables_of(client, server.base_url, {})
        with pytest.raises(ControlError, match="TLS is off") as caught:
            client.certificates()
        assert caught.value.status == 404
