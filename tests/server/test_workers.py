"""Workers that die, hang or stop, as the clients of a server see them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from uploads import upload

from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import Pipeline
from emulator.server import running_server

Eventually = Callable[[Callable[[], object]], object]

CHORES = Path(__file__).parents[1] / "backends"
TIMEOUT_SECONDS = 30
DETECT = "/facepp/v3/detect"
KEYS = {"api_key": "k", "api_secret": "s"}
TASK = "/s2s/v2.0/task/face-reshape"
TOUCH_AFTER: Pipeline[[Path, Path], None] = Pipeline("chores.touch_after")
PROCESS_ID: Pipeline[[], int] = Pipeline("os.getpid")

UNDECODABLE, DEADLY = b"\xff\xd8 no picture", b"\xff\xd8 deadly"


class Emulator(NamedTuple):
    """A server, its one worker, and the file that keeps a new worker from becoming ready."""

    client: httpx.Client
    pool: WorkerPool
    gate: Path


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A server with a worker that starts quickly, because it loads no models."""
    gate = tmp_path_factory.mktemp("gate") / "gate"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(CHORES)
        pool = WorkerPool(1, Pipeline("chores.arm"), {"GATE": str(gate)})
        pool.warm_up()
    try:
        with (
            running_server(workers=pool) as server,
            httpx.Client(base_url=server.base_url, timeout=60) as client,
        ):
            yield Emulator(client, pool, gate)
    finally:
        pool.close()


def test_ready_reports_a_dead_worker_until_it_is_replaced(emulator: Emulator, eventually: Eventually) -> None:
    def ready() -> httpx.Response:
        return emulator.client.get("/_emulator/ready")

    eventually(lambda: ready().status_code == 200)
    assert ready().json()["workers"] is None
    emulator.gate.touch()
    try:
        os.kill(emulator.pool.submit(PROCESS_ID).result(TIMEOUT_SECONDS), signal.SIGKILL)
        eventually(lambda: ready().status_code == 503)
        found = ready().json()
        # The server answers all other requests meanwhile.
        assert emulator.client.get("/_emulator/health").status_code == 200
    finally:
        emulator.gate.unlink()
    assert found == {
        "ready": False,
        "face_core_warm": False,
        "hooks_run": True,
        "workers": "1 of 1 workers died, and are being replaced.",
        "storage": None,
    }
    eventually(lambda: ready().status_code == 200)


CALLS: tuple[tuple[str, Mapping[str, str], str | None], ...] = (
    (DETECT, KEYS, "image_file"),
    ("/facepp/v1/3dface", KEYS, "image_file_1"),
    ("/facepp/v2/beautify", KEYS, "image_file"),
    ("/facepp/v1/facialfeatures", KEYS, "image_file"),
    ("/facepp/v1/face/thousandlandmark", {**KEYS, "return_landmark": "all"}, "image_file"),
    ("/face_recon/run_pipeline", {"token": "t"}, "image_bytes"),
    ("/example/v1/count", {}, None),
)
"""Paths of calls with one picture, their other fields, and the field of the picture or None for the body."""


def test_a_picture_that_kills_two_workers_is_refused_like_one_that_cannot_be_decoded(
    emulator: Emulator,
) -> None:
    def send(path: str, fields: Mapping[str, str], file: str | None, data: bytes) -> tuple[int, Any]:
        request: dict[str, Any] = {"data": fields, "files": {file: ("a.jpg", data, "image/jpeg")}}
        if file is None:
            request = {"content": data, "headers": {"X-Example-Key": "k", "Content-Type": "image/jpeg"}}
        answer = emulator.client.post(path, **request)
        changing = {"request_id", "time_used"}
        return answer.status_code, {k: v for k, v in answer.json().items() if k not in changing}

    # All of these first, because a new worker would have to import the pipelines again.
    refused = [send(*call, UNDECODABLE) for call in CALLS]
    assert {400 <= status < 500 for status, _ in refused} == {True}
    assert [send(*call, DEADLY) for call in CALLS] == refused
    assert emulator.pool.submit(PROCESS_ID).result(TIMEOUT_SECONDS)


def create_task(client: httpx.Client, data: bytes) -> Callable[[], dict[str, Any]]:
    """Create a reshape of a new file. Return a function that polls it."""
    headers = {"Authorization": "Bearer sk-workers"}
    file_id = upload(data, client.post, client.put, headers)
    body = {"src_file_id": file_id, "version": "1.0", "features": {"jaw": 10}, "global": {}}
    task_id = client.post(TASK, json=body, headers=headers).json()["data"]["task_id"]

    def poll() -> dict[str, Any]:
        data: dict[str, Any] = client.get(f"{TASK}/{task_id}", headers=headers).json()["data"]
        return data

    return poll


def test_only_the_task_of_a_deadly_picture_fails(emulator: Emulator, eventually: Eventually) -> None:
    polls = [create_task(emulator.client, data) for data in (UNDECODABLE, DEADLY, UNDECODABLE)]
    eventually(lambda: all(poll()["task_status"] != "running" for poll in polls))
    first, deadly, last = (poll() for poll in polls)
    assert {first["task_status"], first["error"]} == {"error", "error_decode_image"}
    assert (first["task_status"], first["error"]) == (deadly["task_status"], deadly["error"])
    assert (first["task_status"], first["error"]) == (last["task_status"], last["error"])


def half_sent(client: httpx.Client) -> socket.socket:
    """Return a connection that has sent a request for work."""
    url = urlsplit(str(client.base_url))
    request = client.build_request("POST", DETECT, data=KEYS, files={"image_file": ("a.jpg", UNDECODABLE)})
    head = f"POST {DETECT} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in request.headers.items())
    connection = socket.create_connection((url.hostname, url.port), timeout=TIMEOUT_SECONDS)
    connection.sendall(head.encode() + b"\r\n" + request.read())
    return connection


def test_work_whose_client_has_left_is_not_begun_but_a_task_is(
    emulator: Emulator, tmp_path: Path, eventually: Eventually
) -> None:
    client, pool, _ = emulator
    go = tmp_path / "go"
    busy = pool.submit(TOUCH_AFTER, go, tmp_path / "busy")
    connections = [half_sent(client) for _ in range(3)]
    eventually(lambda: pool.waiting == 3)
    for connection in connections:
        connection.close()
    eventually(lambda: pool.waiting == 0)
    with httpx.Client(base_url=client.base_url) as leaving:
        create_task(leaving, UNDECODABLE)
    eventually(lambda: pool.waiting == 1)
    poll = create_task(client, UNDECODABLE)
    eventually(lambda: pool.waiting == 2)
    assert not busy.done()
    go.touch()
    eventually(lambda: poll()["task_status"] == "error")
    # The calls are in the journal, without a response.
    calls = client.get("/_emulator/calls", params={"operation": "detect", "status": "none"}).json()
    assert len(calls["calls"] if isinstance(calls, dict) else calls) == 3


SERVER = """
import asyncio, sys
import emulator.adapters
from emulator.backends.queue.protocol import Pipeline
from emulator.server import serve
from emulator.settings import Settings

emulator.adapters.WARM_UP = Pipeline("chores.do_nothing")

async def show(listening):
    worker = await listening.app.state.world.queue.run(Pipeline("os.getpid"))
    print(listening.base_url, worker, flush=True)

asyncio.run(serve(Settings(workers=1, stop_seconds=float(sys.argv[1])), ["127.0.0.1"], 0, show))
"""


def accepts(address: tuple[str, int]) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(address) == 0


@pytest.mark.parametrize(
    ("stop_seconds", "signals"), [(0.5, 1), (1000, 2)], ids=["after-the-time", "at-the-second-signal"]
)
def test_a_stopping_server_does_not_wait_for_a_stopped_worker(
    stop_seconds: float, signals: int, eventually: Eventually
) -> None:
    paths = os.pathsep.join([str(CHORES), *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", SERVER, str(stop_seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            url, worker = process.stdout.readline().split()
            os.kill(int(worker), signal.SIGSTOP)
            with httpx.Client(base_url=url) as client, half_sent(client) as waiting:
                assert client.get("/_emulator/health").status_code == 200
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                if signals == 2:
                    address = waiting.getpeername()
                    eventually(lambda: not accepts(address))
                    process.send_signal(signal.SIGTERM)
                # The worker shares stderr, which closes when it has ended, too.
                process.communicate(timeout=TIMEOUT_SECONDS)
            assert process.returncode == -signal.SIGTERM
            assert time.monotonic() - began < 10
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
