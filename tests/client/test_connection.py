"""Errors of the client's connection, and responses of other versions and other servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.server import Listening
from face_api_emulator.client import Client, ControlError, EmulatorUnreachable
from face_api_emulator.client.models import Costs, CredentialState, Restored


def test_a_refused_connection_is_reported_with_the_remedy() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(EmulatorUnreachable) as caught:
        client.health()
    assert str(caught.value) == (
        "no emulator answers at http://127.0.0.1:9 ([Errno 111] Connection refused); "
        "run `face-emulator serve` or check the URL"
    )
    assert isinstance(caught.value, OSError)


@pytest.mark.parametrize("url", ["127.0.0.1:3468", "ftp://127.0.0.1", "http://", "http://a b/", ""])
def test_an_invalid_url_is_an_unreachable_emulator(url: str) -> None:
    with Client(url) as client, pytest.raises(EmulatorUnreachable, match="check the URL"):
        client.health()


def test_the_proxies_of_the_environment_are_ignored(
    server: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Client(server.base_url) as client:
        assert client.health().status == "ok"


def test_a_server_that_is_no_emulator_is_reported(receivers: Callable[[], object]) -> None:
    # A receiver answers every POST with an empty body, and refuses other methods with a page of HTML.
    receiver = receivers()
    url = str(receiver.url).removesuffix("/hook")  # type: ignore[attr-defined]
    with Client(url) as client:
        with pytest.raises(EmulatorUnreachable, match="another server or version"):
            client.freeze()
        with pytest.raises(ControlError, match="HTTP 501"):
            client.health()


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (Costs, {"operations": [], "totals": [], "unpriced": []}),
        (Costs, {"operations": [1], "totals": {}, "unpriced": []}),
        (Costs, {"operations": 1, "totals": {}, "unpriced": []}),
        (Restored, {"emulator": "1", "documents": "many", "counters": 1, "blobs": 1}),
        (Restored, []),
        (Restored, "text"),
        (Restored, None),
    ],
)
def test_json_of_another_shape_is_another_server(kind: type[object], document: object) -> None:
    with Client() as client, pytest.raises(EmulatorUnreachable, match="another server or version"):
        client._parsed(kind, document)  # noqa: SLF001 - no emulator answers such JSON


def test_members_that_this_version_does_not_know_are_ignored() -> None:
    newer = {"emulator": "9.9", "documents": 1, "counters": 2, "blobs": 3, "colour": "green"}
    with Client() as client:
        found = client._parsed(Restored, newer)  # noqa: SLF001 - there is no server of a newer version
    assert found == Restored(emulator="9.9", documents=1, counters=2, blobs=3)


def test_names_with_dots_and_slashes_do_not_reach_other_routes(server: Listening) -> None:
    with Client(server.base_url) as client:
        client.list_credential("sk-dots", CredentialState.REVOKED)
        client.list_credential("sk-a/../sk-dots", CredentialState.EXPIRED)
        client.unlist_credential("sk-a/../sk-dots")
        assert {each.credential for each in client.credentials()} & {"sk-dots", "sk-a/../sk-dots"} == {
            "sk-dots"
        }
        client.unlist_credential("sk-dots")
        for name in ("../reset", "..", ".", "files/x.toml", "vendor-outage/../../reset"):
            with pytest.raises(ControlError) as caught:
                client.load_scenario(name)
            assert caught.value.status in {404, 405}, name
        with pytest.raises(ControlError) as refused:
            client.task("../health")
        assert refused.value.status == 404


def test_a_password_in_a_url_is_not_printed() -> None:
    with Client("http://me:hunter2@127.0.0.1:9") as client, pytest.raises(EmulatorUnreachable) as caught:
        client.health()
    assert "hunter2" not in str(caught.value) + repr(caught.value)


def test_a_file_that_another_server_answers_is_reported(
    receivers: Callable[[], object], tmp_path: Path
) -> None:
    file = tmp_path / "monday.yaml"
    file.write_text("rules: []")
    url = str(receivers().url).removesuffix("/hook")  # type: ignore[attr-defined]
    with Client(url) as client, pytest.raises(EmulatorUnreachable, match="another server or version"):
        client.load_scenario(file)
