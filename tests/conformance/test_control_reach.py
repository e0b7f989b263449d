"""Whatever the control API can do, its Python client can do, and the command line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from emulator.cli import app
from emulator.control import Client, ControlError
from emulator.server import Listening, running_server
from emulator.settings import Settings

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOOK = "http://127.0.0.1:9/hook"

METHODS: tuple[Callable[[Client, Path], object], ...] = (
    lambda me, _: me.health(),
    lambda me, _: me.wait_until_ready(),
    lambda me, _: me.errors(),
    lambda me, _: me.effects(),
    lambda me, _: me.operations(),
    lambda me, _: me.openapi("metahuman"),
    lambda me, _: me.list_credential("a/b?c"),
    lambda me, _: me.credentials(),
    lambda me, _: me.unlist_credential("a/b?c"),
    lambda me, _: me.clock(),
    lambda me, _: me.freeze(NOW),
    lambda me, _: me.run(),
    lambda me, _: me.advance(1),
    lambda me, _: me.travel(NOW),
    lambda me, _: me.reset_clock(),
    lambda me, _: me.remove_fault(me.add_fault("slow").id),
    lambda me, _: me.faults(),
    lambda me, _: me.clear_faults(),
    lambda me, _: me.load_scenario(me.scenarios()[0].name),
    lambda me, _: me.load_scenario(me.scenario("vendor-outage")),
    lambda me, _: me.unload_scenario("vendor-outage"),
    lambda me, _: me.set_progression("manual"),
    lambda me, _: me.progression(),
    lambda me, _: me.reset_progression(),
    lambda me, _: me.set_lifetimes("perfectcorp", url_seconds=5),
    lambda me, _: me.lifetimes(),
    lambda me, _: me.reset_lifetimes(),
    lambda me, _: me.tasks(),
    lambda me, _: me.task("none"),
    lambda me, _: me.finish_task("none"),
    lambda me, _: me.calls(),
    lambda me, _: me.call(1),
    lambda me, _: next(me.follow(after=0)),
    lambda me, _: me.warnings(),
    lambda me, _: me.verify(),
    lambda me, _: me.har(last=1),
    lambda me, _: me.clear_calls(),
    lambda me, _: me.costs(),
    lambda me, _: me.clear_costs(),
    lambda me, _: me.remove_endpoint(me.add_endpoint(HOOK).id),
    lambda me, _: me.endpoints(),
    lambda me, _: me.deliveries(),
    lambda me, _: me.replay("none"),
    lambda me, _: me.plan(1, ["after_end"]),
    lambda me, _: me.planned(),
    lambda me, _: me.clear_plan(),
    lambda me, folder: me.save_snapshot(folder / "state.zip"),
    lambda me, folder: me.restore_snapshot(folder / "state.zip"),
    lambda me, _: me.reset(),
)

COMMANDS = (
    "health", "ready", "openapi metahuman", "costs", "costs --clear",
    "credentials set a/b?c revoked", "credentials list", "credentials remove a/b?c",
    "clock now", "clock freeze", "clock run", "clock advance 1", "clock travel 2030-01-01", "clock reset",
    "faults add slow", "faults list", "faults names", "faults operations", "faults remove none",
    "faults clear", "scenario list", "scenario show vendor-outage", "scenario load vendor-outage",
    "scenario unload vendor-outage", "tasks list", "tasks show none", "tasks finish none",
    "lifetimes", "lifetimes perfectcorp url_seconds=5 task_timeout_s=none", "lifetimes --reset",
    "tasks progression", "tasks progression manual", "tasks progression reset",
    "calls list", "calls list --follow", "calls show 1", "calls verify", "calls warnings",
    "calls har {folder}/calls.har", "calls clear",
    "webhooks add http://127.0.0.1:9/hook", "webhooks list", "webhooks remove none", "webhooks deliveries",
    "webhooks replay none", "webhooks plan 1 after_end -c me", "webhooks plan -c me",
    "webhooks plan --clear -c me", "snapshot save {folder}/state.zip", "snapshot restore {folder}/state.zip",
    "reset",
)  # fmt: skip


@pytest.fixture(scope="module")
def spare() -> Iterator[Listening]:
    """An emulator that may be reset at any moment."""
    with running_server(Settings(workers=1)) as listening:
        httpx.get(f"{listening.base_url}/s2s/v1.0/client/credit", headers={"Authorization": "Bearer me"})
        yield listening


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Which calls go out."""
    sent: set[tuple[str, str]] = set()
    send = httpx.Client.send

    def note(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        sent.add((request.method, request.url.path))
        return send(self, request, **options)

    monkeypatch.setattr(httpx.Client, "send", note)
    return sent


def missed(base_url: str, reached: set[tuple[str, str]]) -> list[str]:
    """Return the operations of the control API's own document that none of the calls was for."""
    paths = httpx.get(f"{base_url}/_emulator/openapi.json").json()["paths"]
    operations = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert len(operations) > 40
    return [
        f"{method} {path}"
        for method, path in operations
        if not any(
            method == sent and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+(/b[?]c)?", path), target)
            for sent, target in reached
        )
    ]


def test_the_python_client_reaches_everything(
    spare: Listening, reached: set[tuple[str, str]], tmp_path: Path
) -> None:
    with Client(spare.base_url, "me") as me:
        for method in METHODS:
            with contextlib.suppress(ControlError):  # a task or delivery that is not there
                method(me, tmp_path)
    assert missed(spare.base_url, reached) == []


def test_the_command_line_reaches_everything(
    spare: Listening, reached: set[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_EMULATOR_URL", spare.base_url)
    # One that is not followed for ever, since the test would be.
    follow = Client.follow
    monkeypatch.setattr(Client, "follow", lambda me, **match: [next(follow(me, **{**match, "after": 0}))])
    with Client(spare.base_url, "me") as me:
        httpx.get(f"{spare.base_url}/s2s/v1.0/client/credit", headers={"Authorization": "Bearer me"})
        assert me.calls()
    for command in COMMANDS:
        done = CliRunner().invoke(app, command.format(folder=tmp_path).split())
        assert done.exit_code == 0 or "there is no" in done.output or "call 1 is not" in done.output, (
            done.output
        )
    # What comes along is in the package, and needs no emulator.
    assert missed(spare.base_url, reached) == ["GET /_emulator/scenarios", "POST /_emulator/scenarios/{name}"]
