from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from emulator.cli import app
from emulator.control import Client, ControlError
from emulator.server import Listening, running_server
from emulator.settings import Settings

ME = "commander"


@pytest.fixture
def tell(server: Listening) -> Callable[..., str]:
    """Run a command against the session's emulator, and return what it prints."""

    def run(*arguments: str, fails: bool = False) -> str:
        done = CliRunner().invoke(app, [*arguments, "--url", server.base_url])
        assert (done.exit_code != 0) == fails, done.output
        return done.output.strip()

    return run


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    with Client(server.base_url, ME) as client:
        yield client
        client.reset()


def test_a_fault_is_added_listed_and_removed(
    tell: Callable[..., str], me: Client, client: httpx.Client
) -> None:
    rule_id = tell(
        *("faults", "add", "TooManyRequests", "--vendor", "perfectcorp", "--nth", "2"),
        *("--header", "user-agent=httpx", "-c", ME),
    )
    assert me.faults()[0].rule == {
        "match": {
            "vendor": "perfectcorp",
            "credential": ME,
            "nth": 2,
            "headers": {"user-agent": "httpx"},
        },
        "effect": {"error": "TooManyRequests"},
    }
    headers = {"Authorization": f"Bearer {ME}"}
    statuses = [client.get("/s2s/v1.0/client/credit", headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 429, 200]
    assert tell("faults", "list", "-c", ME).startswith(f"{rule_id}  fired 1 of 3  {{")
    tell("faults", "remove", rule_id)
    assert me.faults() == []


def test_an_effect_may_be_json(tell: Callable[..., str], me: Client) -> None:
    tell("faults", "add", '{"proxy_page": 503, "latency": 0.5}', "-c", ME)
    assert me.faults()[0].rule["effect"] == {"proxy_page": 503, "latency": {"seconds": 0.5}}
    tell("faults", "clear", "-c", ME)
    assert me.faults() == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["faults", "add", "nonsense"], "there is no error or effect named nonsense; there are "),
        (["faults", "add", "{broken"], "Expecting property name"),
        (["faults", "add", "slow", "--nth", "0"], "nth: Input should be greater than or equal to 1"),
        (
            ["credentials", "set", "me", "dead"],
            "dead is none of valid, revoked, expired, restricted, no_balance",
        ),
        (["faults", "remove", "nothing"], "there is no rule nothing"),
        (["clock", "travel", "yesterday"], "yesterday is no moment of ISO 8601"),
        (["tasks", "finish", "nothing"], "there is no task nothing"),
        (["tasks", "progression", "after_polls"], "`polls` goes with the mode after_polls"),
        (["scenario", "load", "nothing"], "the scenario nothing cannot be read: there are flaky-network"),
        (["scenario", "unload", "nothing"], "no rule of a scenario nothing is active"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    tell: Callable[..., str], arguments: list[str], reason: str
) -> None:
    said = tell(*arguments, fails=True)
    assert said.startswith("face-emulator: ")
    assert reason in said
    assert "Traceback" not in said


def test_an_emulator_that_is_not_there_is_told() -> None:
    done = CliRunner().invoke(app, ["clock", "now", "--url", "http://127.0.0.1:1"])
    assert done.exit_code == 1
    assert done.output.startswith("face-emulator: no emulator answers at http://127.0.0.1:1 (")


def test_the_clock_is_moved(tell: Callable[..., str], me: Client) -> None:
    assert tell("clock", "freeze", "2026-01-01T00:00:00", "-c", ME) == "2026-01-01T00:00:00+00:00 (it stands)"
    assert tell("clock", "advance", "90", "-c", ME) == "2026-01-01T00:01:30+00:00 (it stands)"
    assert tell("clock", "travel", "2027-02-03T04:05:06+01:00", "-c", ME).startswith("2027-02-03T03:05:06")
    assert not tell("clock", "run", "-c", ME).endswith("(it stands)")
    tell("clock", "reset", "-c", ME)
    assert not me.clock().own


def test_progression_is_set_and_reset(tell: Callable[..., str]) -> None:
    set_to = tell("tasks", "progression", "after_polls", "3", "-c", ME)
    assert set_to == '{"mode":"after_polls","polls":3}'
    assert tell("tasks", "progression", "reset", "-c", ME) == '{"mode":"real"}'
    assert tell("tasks", "list", "-c", ME) == ""


def test_scenarios_are_loaded_by_name_and_from_files(
    tell: Callable[..., str], me: Client, tmp_path: Path
) -> None:
    assert tell("scenario", "load", "rate-limited", "-c", ME) == "rate-limited: 3 rules"
    assert len(me.faults()) == 3
    tell("scenario", "unload", "rate-limited", "-c", ME)
    own = tmp_path / "monday.yaml"
    own.write_text("rules: [{effect: slow}]")
    assert tell("scenario", "load", str(own), "-c", ME) == "monday: 1 rules"
    assert me.faults()[0].rule["scenario"] == "monday"
    assert "vendor-outage" in CliRunner().invoke(app, ["scenario", "list"]).output


def test_reset_forgets_one_world(tell: Callable[..., str], me: Client) -> None:
    me.add_fault("slow", operation="upload")
    me.freeze()
    tell("reset", "-c", ME)
    assert (me.faults(), me.clock().own) == ([], False)


def test_names_lists_every_error(tell: Callable[..., str]) -> None:
    said = tell("faults", "names")
    for name in ("connection-reset", "MULTIPLE_FACE_FOUND", "FACE_NOT_FOUND", "error_no_face"):
        assert name in said


def test_calls_are_listed_exported_and_forgotten(
    tell: Callable[..., str], me: Client, client: httpx.Client, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {ME}"}
    client.get("/s2s/v1.0/client/credit", headers=headers)
    with me.fault("TooManyRequests"):
        client.get("/s2s/v1.0/client/credit", headers=headers)
    lines = tell("calls", "list", "-c", ME).splitlines()
    first, second = (line for line in lines if "GET" in line)
    assert " 200 " in first
    assert " 429 " in second
    assert second.endswith("GET /s2s/v1.0/client/credit  [rule " + second.rpartition(" ")[2])
    assert tell("calls", "list", "-c", ME, "--status", "4xx") == second.strip()
    tell("calls", "har", str(tmp_path / "calls.har"), "-c", ME)
    archive = json.loads((tmp_path / "calls.har").read_text())
    assert [entry["response"]["status"] for entry in archive["log"]["entries"]] == [200, 429]
    assert me.verify(count=2, operation="credit").ok
    missing = me.verify(count=3, operation="credit", status="200")
    assert (missing.ok, missing.count) == (False, 1)
    assert missing.near_misses[0].failures[0].condition == "status"
    tell("calls", "clear", "-c", ME)
    assert me.calls() == []


def test_endpoints_of_webhooks_are_added_listed_and_removed(tell: Callable[..., str], me: Client) -> None:
    added = tell("webhooks", "add", "http://127.0.0.1:9/hook", "-c", ME)
    endpoint_id, _, secret = added.partition("  ")
    assert secret.startswith("whsec_")
    assert tell("webhooks", "list", "-c", ME) == f"{endpoint_id}  http://127.0.0.1:9/hook"
    assert tell("webhooks", "deliveries", "-c", ME) == ""
    tell("webhooks", "remove", endpoint_id)
    assert me.endpoints() == []
    said = tell("webhooks", "replay", "nothing", fails=True)
    assert "there is no delivery nothing" in said


def test_costs_are_told(tell: Callable[..., str], client: httpx.Client, face_jpeg: bytes, me: Client) -> None:
    keys, files = {"api_key": ME, "api_secret": "s"}, {"image_file_1": face_jpeg}
    client.post("/facepp/v1/3dface", data=keys, files=files).raise_for_status()
    assert tell("costs", "-c", ME).split() == [
        "faceplusplus",
        "3dface",
        "1",
        "calls",
        "no",
        "price",
        "is",
        "set",
    ]
    assert me.costs().unpriced == ["faceplusplus/3dface"]


def test_a_snapshot_is_saved_and_restored_from_python(server: Listening, tmp_path: Path) -> None:
    with running_server(Settings(workers=1)) as other, Client(other.base_url) as there:
        with Client(server.base_url) as here:
            here.save_snapshot(tmp_path / "state.zip")
            assert there.restore_snapshot(tmp_path / "state.zip").emulator == here.health().version
        (tmp_path / "state.zip").write_bytes(b"nothing")
        with pytest.raises(ControlError, match="snapshot"):
            there.restore_snapshot(tmp_path / "state.zip")
