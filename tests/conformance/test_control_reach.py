"""The Python client and the command line reach every operation of the control API."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import click
import httpx
import pytest
import urllib3
from click.testing import CliRunner

from emulator.backends.queue.pool import WorkerPool
from emulator.cli import app
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.client import Client, ControlError
from face_api_emulator.client.models import Mark, TaskState

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOOK = "http://127.0.0.1:9/hook"  # no server listens here
TASK = "/s2s/v2.0/task/face-reshape"
BODY = json.dumps(
    {"src_file_url": "http://127.0.0.1:9/", "version": "1.0", "features": {"jaw": 1}, "global": {}}
).encode()
# The task ends at once with an error, because that needs no computation.
HEADERS = {
    "Authorization": "Bearer me",
    "Content-Type": "application/json",
    "X-Emulator-Fault": "error_no_face",
}
TIMEOUT_SECONDS = 60

Found = TypeVar("Found")


@dataclass(frozen=True)
class World:
    """The ids of the objects that the methods and commands act on."""

    call: int
    digest: str
    delivery: str
    endpoint: str
    folder: Path
    rule: str
    scenario: Path
    task: str


def fault(me: Client, _: World) -> None:
    with me.fault("slow"):
        pass


def certificates(me: Client, _: World) -> None:
    with pytest.raises(ControlError, match="TLS is off"):
        me.certificates()


METHODS: tuple[Callable[[Client, World], object], ...] = (
    lambda me, _: me.health(),
    lambda me, _: me.wait_until_ready(),
    lambda me, _: me.ready(),
    lambda me, _: me.metrics(),
    lambda me, _: me.errors(),
    lambda me, _: me.effects(),
    lambda me, _: me.operations(),
    lambda me, _: me.openapi("metahuman"),
    lambda me, _: me.ledger("metahuman", Mark.GUESS),
    certificates,
    lambda me, _: me.face(next(iter(me.faces()))),
    lambda me, _: me.list_credential("a/b?c"),
    lambda me, _: me.credentials(),
    lambda me, _: me.unlist_credential("a/b?c"),
    lambda me, _: me.clock(),
    lambda me, _: me.freeze(NOW),
    lambda me, _: me.run(),
    lambda me, _: me.advance(1),
    lambda me, _: me.travel(NOW),
    lambda me, _: me.reset_clock(),
    lambda me, _: me.add_fault("slow"),
    fault,
    lambda me, _: me.faults(),
    lambda me, world: me.remove_fault(world.rule),
    lambda me, _: me.forget_faults(),
    lambda me, _: me.load_scenario(me.scenarios()[0].name),
    lambda me, _: me.load_scenario(me.scenario("vendor-outage")),
    lambda me, world: me.load_scenario(world.scenario),
    lambda me, _: me.unload_scenario("vendor-outage"),
    lambda me, _: me.set_progression("manual"),
    lambda me, _: me.progression(),
    lambda me, _: me.reset_progression(),
    lambda me, _: me.set_lifetimes("perfectcorp", url_seconds=5),
    lambda me, _: me.lifetimes(),
    lambda me, _: me.reset_lifetimes(),
    lambda me, _: me.tasks(),
    lambda me, world: me.task(world.task),
    lambda me, world: me.finish_task(world.task),
    lambda me, _: me.calls(),
    lambda me, world: me.call(world.call),
    lambda me, _: next(me.follow(after=0)),
    lambda me, _: me.warnings(),
    lambda me, _: me.verify(),
    lambda me, _: me.har(last=1),
    lambda me, _: me.kept_bodies(),
    lambda me, world: me.call_bytes(world.call, world.digest),
    lambda me, world: me.replay_call(world.call),
    lambda me, _: me.keep_bodies(0),
    lambda me, _: me.forget_calls(),
    lambda me, _: me.costs(),
    lambda me, _: me.forget_costs(),
    lambda me, _: me.add_endpoint(HOOK, vendor="perfectcorp"),
    lambda me, _: me.endpoints(),
    lambda me, _: me.deliveries(),
    lambda me, world: me.replay(world.delivery),
    lambda me, world: me.remove_endpoint(world.endpoint),
    lambda me, _: me.plan(1, ["after_end"]),
    lambda me, _: me.planned(),
    lambda me, _: me.forget_plan(),
    lambda me, world: me.save_snapshot(world.folder / "state.zip"),
    lambda me, world: me.restore_snapshot(world.folder / "state.zip"),
    lambda me, _: me.reset(),
)

COMMANDS = (
    "health", "metrics", "wait", "healthcheck", "doctor", "env", "listen", "openapi metahuman",
    "ledger metahuman --mark GUESS",
    "costs", "costs --forget",
    "credentials set a/b?c revoked", "credentials list", "credentials remove a/b?c",
    "clock now", "clock freeze", "clock run", "clock advance 1", "clock travel 2030-01-01", "clock reset",
    "faults add slow", "faults list", "faults names", "faults operations", "faults remove {rule}",
    "faults forget", "scenario list", "scenario show vendor-outage",
    "scenario load vendor-outage", "scenario load {scenario}", "scenario unload vendor-outage",
    "tasks list", "tasks show {task}", "tasks finish {task}",
    "lifetimes", "lifetimes perfectcorp url_seconds=5 task_timeout_s=none", "lifetimes --reset",
    "tasks progression", "tasks progression manual", "tasks progression reset",
    "calls list", "calls list --follow", "calls show {call}", "calls verify", "calls warnings",
    "calls save {call} {digest} {folder}/body.json", "calls replay {call}", "calls bodies",
    "calls bodies 0", "calls har {folder}/calls.har", "calls forget",
    "webhooks add http://127.0.0.1:9/hook --vendor perfectcorp", "webhooks list", "webhooks deliveries",
    "webhooks replay {delivery}", "webhooks remove {endpoint}", "webhooks plan 1 after_end -c me",
    "webhooks plan -c me", "webhooks plan --forget -c me", "snapshot save {folder}/state.zip",
    "snapshot restore {folder}/state.zip", "reset",
)  # fmt: skip


@pytest.fixture(scope="module")
def spare(workers: WorkerPool) -> Iterator[Listening]:
    """An emulator that no other test uses, so that it can be reset."""
    with running_server(Settings(), workers=workers) as listening:
        yield listening


@pytest.fixture
def world(spare: Listening, tmp_path: Path) -> World:
    """A rule, an endpoint, a delivery that failed once, a held task, and its call."""
    with Client(spare.base_url, "me") as me:
        me.reset()
        me.keep_bodies(1_000_000)
        endpoint = me.add_endpoint(HOOK).id
        create(spare)
        delivery = until(lambda: next((found.id for found in me.deliveries() if found.attempts), None))
        me.set_progression("manual")
        task = create(spare)
        until(lambda: me.task(task).state == TaskState.HELD)
        rule = me.add_fault("slow", nth=99).id
        scenario = tmp_path / "monday.yaml"
        scenario.write_text("rules: [{effect: slow}]")
        digest = hashlib.sha256(BODY).hexdigest()
        return World(until(me.calls)[-1].number, digest, delivery, endpoint, tmp_path, rule, scenario, task)


def create(spare: Listening) -> str:
    answer = httpx.post(f"{spare.base_url}{TASK}", content=BODY, headers=HEADERS)
    return str(answer.raise_for_status().json()["data"]["task_id"])


def until(look: Callable[[], Found | None]) -> Found:
    """Call ``look`` until it finds something, and return that."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


@pytest.fixture
def reached(world: World, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:  # noqa: ARG001 - requested first, because its calls do not count
    """The method and the path of every request that is sent."""
    sent: set[tuple[str, str]] = set()
    send = urllib3.PoolManager.request

    def note(self: urllib3.PoolManager, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
        sent.add((method, unquote(urlsplit(url).path)))
        return send(self, method, url, **options)

    monkeypatch.setattr(urllib3.PoolManager, "request", note)
    return sent


def missed(base_url: str, reached: set[tuple[str, str]]) -> list[str]:
    """Return the operations of the control API's document that no request reached."""
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


def commands_of(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the commands that call an emulator: those with a URL that FACE_EMULATOR_URL sets."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands_of(below, (*path, name))
    elif any(option.name == "url" and option.envvar for option in command.params):
        yield " ".join(path)


def test_every_method_and_every_command_is_tried() -> None:
    called = {name for method in METHODS for name in method.__code__.co_names}
    assert {name for name in dir(Client) if not name.startswith("_")} - called == {"close"}
    commands = set(commands_of(app))
    assert len(commands) > 40
    tried = [command.split() for command in COMMANDS]
    assert commands - {" ".join(words[:length]) for words in tried for length in (1, 2)} == set()


def test_the_python_client_reaches_everything(
    spare: Listening, world: World, reached: set[tuple[str, str]]
) -> None:
    with Client(spare.base_url, "me") as me:
        for method in METHODS:
            method(me, world)
    assert missed(spare.base_url, reached) == []


def test_the_command_line_reaches_everything(
    spare: Listening, world: World, reached: set[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_EMULATOR_URL", spare.base_url)
    # Follow only one call, because following does not end by itself.
    follow = Client.follow
    monkeypatch.setattr(Client, "follow", lambda me, **match: [next(follow(me, **{**match, "after": 0}))])
    for command in COMMANDS:
        done = CliRunner().invoke(app, command.format(**asdict(world)).split())
        assert (done.exit_code, done.exception) == (0, None), (command, done.output)
    # Commands load scenarios from files, draw faces themselves, and fetch certificates only with TLS.
    assert missed(spare.base_url, reached) == [
        "GET /_emulator/certificates/{file}", "GET /_emulator/faces", "GET /_emulator/faces/{name}",
        "POST /_emulator/scenarios",
    ]  # fmt: skip
