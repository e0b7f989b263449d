"""``--json`` of the commands that print what they have read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from emulator.cli import app
from emulator.server import Listening
from face_api_emulator.client import Client

COMMANDS = (
    "clock now",
    "clock freeze",
    "clock advance 1",
    "clock travel 2030-01-01",
    "clock run",
    "clock reset",
    "costs",
    "credentials list",
    "faults list",
    "faults names",
    "faults operations",
    "lifetimes",
    "scenario list",
    "tasks list",
    "webhooks deliveries",
    "webhooks list",
    "calls warnings",
)


@pytest.fixture
def run(server: Listening, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A function that runs a command and returns what it prints."""
    monkeypatch.setenv("FACE_EMULATOR_URL", server.base_url)
    # No command may use this proxy, because the emulator is on this machine.
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    def run(command: str) -> str:
        done = CliRunner().invoke(app, command.split())
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.fixture
def me(server: Listening) -> Any:
    """A credential with a fault rule, an endpoint and a call."""
    with Client(server.base_url, "sk-output") as control:
        control.add_fault("slow", vendor="metahuman")
        control.add_endpoint("http://127.0.0.1:9/")
        yield control
        control.reset()
        control.forget_faults()
        for endpoint in control.endpoints():
            control.remove_endpoint(endpoint.id)


WITH_CREDENTIAL = {"clock", "costs", "lifetimes", "tasks", "webhooks"}


@pytest.mark.usefixtures("me")
@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_one_document(run: Callable[[str], str], command: str) -> None:
    has_option = command.partition(" ")[0] in WITH_CREDENTIAL or command == "faults list"
    credential = " -c sk-output" if has_option else ""
    document = json.loads(run(f"{command} --json{credential}"))
    assert isinstance(document, dict | list)
    if command in {"faults list", "webhooks list", "faults names", "calls warnings", "scenario list"}:
        assert document


def test_commands_that_always_print_json_accept_the_option(run: Callable[[str], str]) -> None:
    for command in ("health", "openapi faceplusplus", "scenario show rate-limited", "tasks progression"):
        assert json.loads(run(f"{command} --json")) == json.loads(run(command))
    assert json.loads(run("env --json")) == json.loads(run("env --format json"))


@pytest.mark.parametrize("command", ["wait --timeout 0.1", "healthcheck"])
def test_readiness_is_one_object(run: Callable[[str], str], command: str) -> None:
    assert json.loads(run(f"{command} --json")) == {"ready": True}
    done = CliRunner().invoke(app, [*command.split(), "--json", "--url", "http://127.0.0.1:9"])
    assert done.exit_code == (1 if command == "healthcheck" else 124)
    assert json.loads(done.stdout) == {"ready": False}


def test_a_plan_is_one_object(run: Callable[[str], str], me: Any) -> None:
    me.plan(1, ["after_end"])
    document = json.loads(run("webhooks plan -c sk-output --json"))
    assert document["plan"]["polls"] == 1
    me.forget_plan()


def test_a_drawn_face_is_one_object(run: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "face.jpg"
    assert json.loads(run(f"faces --size 64 -o {file} --json")) == {
        "file": str(file),
        "bytes": file.stat().st_size,
        "truth": str(tmp_path / "face.json"),
    }
    names = json.loads(run("faces --name list --json"))
    assert {"name", "shows"} == set(names[0])
    assert len(names) == len(run("faces --name list").splitlines())


def test_calls_are_one_object_per_line(run: Callable[[str], str], server: Listening) -> None:
    import httpx  # noqa: PLC0415 - only here

    for _ in range(2):
        httpx.get(
            f"{server.base_url}/s2s/v1.0/client/credit",
            headers={"Authorization": "Bearer sk-lines"},
            trust_env=False,
        )
    lines = run("calls list --json -c sk-lines").splitlines()
    assert [json.loads(line)["operation"] for line in lines] == ["credit", "credit"]


def test_what_a_command_has_done_is_one_object(run: Callable[[str], str], me: Any, tmp_path: Path) -> None:
    rule = json.loads(run("faults add slow -c sk-output --json"))
    assert {rule["id"]} <= {listed.id for listed in me.faults()}
    endpoint = json.loads(run("webhooks add http://127.0.0.1:9/ -c sk-output --json"))
    assert endpoint["secret"].startswith("whsec_")
    loaded = json.loads(run("scenario load rate-limited -c sk-output --json"))
    assert loaded["name"] == "rate-limited"
    verdict = json.loads(run("calls verify {} --count 0 -c sk-output --json"))
    assert (verdict["ok"], verdict["count"]) == (True, 0)
    file = tmp_path / "state.zip"
    assert json.loads(run(f"snapshot save {file} --json")) == {
        "file": str(file),
        "bytes": file.stat().st_size,
    }
