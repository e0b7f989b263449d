from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from uploads import upload

import emulator
from emulator.backends.queue.pool import WorkerPool
from emulator.server import running_server
from emulator.settings import Settings

READY = {"ready": True, "face_core_warm": True, "hooks_run": True, "workers": None, "storage": None}
COLD = "The workers have not yet loaded the face core."


def test_health_lists_capabilities_and_vendors(client: httpx.Client) -> None:
    health = client.get("/_emulator/health").json()
    runs = health.pop("runs")
    assert runs["records"] == "SQLite in a temporary folder"
    assert runs.keys() == {"records", "blobs", "queue"}
    assert health.pop("journal").keys() == {"last", "last_dropped"}
    assert health.pop("workers").keys() == {"count", "alive"}
    assert health.pop("waiting") >= 0
    assert health.pop("tasks").keys() == {"waiting", "running"}
    assert health == {
        "status": "ok",
        "version": emulator.__version__,
        "capabilities": [
            *("clock", "contracts", "costs", "credentials", "faces", "faults", "journal", "lifetimes"),
            *("metrics", "scenarios", "snapshot", "tasks", "webhooks", "world"),
        ],
        "vendors": {
            "faceplusplus": ["/facepp"],
            "metahuman": ["/auth", "/face_recon", "/hair_recon", "/glb_const", "/static"],
            "perfectcorp": ["/s2s", "/yce-us"],
            "example_vendor": ["/example"],
        },
        "credentials": {
            "faceplusplus": ["api_key", "api_secret"],
            "metahuman": ["token"],
            "perfectcorp": ["key"],
            "example_vendor": ["key"],
        },
        "replicas": None,
        "tls": None,
    }


def test_the_server_answers_before_it_is_ready_and_work_waits_for_the_face_core(
    face_jpeg: bytes, eventually: Callable[[Callable[[], object]], object]
) -> None:
    headers = {"Authorization": "Bearer sk-early"}
    task = "/s2s/v2.0/task/face-reshape"
    with (
        running_server(Settings(workers=1)) as server,
        httpx.Client(base_url=server.base_url, timeout=120) as client,
    ):
        # The server answers these requests long before a worker has loaded the face core.
        assert client.get("/_emulator/health").status_code == 200
        assert client.post("/facepp/v1/3dface").json() == {"error_message": "MISSING_ARGUMENTS: api_key"}
        file_id = upload(face_jpeg, client.post, client.put, headers)
        body = {"src_file_id": file_id, "version": "1.0", "features": {"jaw": 50}, "global": {}}
        task_id = client.post(task, json=body, headers=headers).json()["data"]["task_id"]
        early = client.get(f"{task}/{task_id}", headers=headers)
        assert early.json()["data"]["task_status"] == "running"
        not_ready = client.get("/_emulator/ready")
        assert (not_ready.status_code, not_ready.json()) == (
            503,
            {**READY, "ready": False, "face_core_warm": False, "workers": COLD},
        )
        # A request that needs the face core waits for it.
        answer = client.post(
            "/facepp/v1/3dface",
            data={"api_key": "k", "api_secret": "s"},
            files={"image_file_1": face_jpeg},
        )
        assert answer.status_code == 200
        assert client.get("/_emulator/ready").json() == READY

        def status() -> str:
            return str(client.get(f"{task}/{task_id}", headers=headers).json()["data"]["task_status"])

        # The task was first in the queue, but its end may be recorded later than the other call is answered.
        eventually(lambda: status() != "running")
        assert status() == "success"


def test_with_a_data_folder_a_texture_survives_a_restart(
    tmp_path: Path, face_jpeg: bytes, workers: WorkerPool
) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with running_server(settings, workers=workers) as server:
        url = httpx.post(
            f"{server.base_url}/face_recon/run_pipeline",
            data={"token": "t"},
            files={"image_bytes": ("a.jpg", face_jpeg)},
            timeout=120,
        ).json()["result"]["face"]["textureUrl"]
        texture = httpx.get(server.base_url + url).content
    with running_server(settings, workers=workers) as server:
        assert httpx.get(server.base_url + url).content == texture


def test_a_client_that_sends_its_whole_body_first_gets_the_response(client: httpx.Client) -> None:
    """The server closes the connection without a reset, although it has no use for the body."""
    url, size = client.base_url, 9_000_000
    head = (
        f"POST /facepp/v9/nothing HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n"
        f"Content-Length: {size}\r\nConnection: close\r\n\r\n"
    )
    for path in ("/facepp/v9/nothing", "/face_recon/nothing", "/yce-us/ttl30/x.jpg", "/nothing"):
        with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
            connection.sendall(head.replace("/facepp/v9/nothing", path).encode())
            connection.sendall(bytes(size))
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 4"), path


def test_slow_downloads_do_not_delay_other_tasks(client: httpx.Client, face_jpeg: bytes) -> None:
    headers = {"Authorization": "Bearer sk-slow"}
    task = "/s2s/v2.0/task/face-reshape"
    body = {"version": "1.0", "features": {"jaw": 50}, "global": {}}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg"
        slow = [
            client.post(task, json={**body, "src_file_url": url}, headers=headers).json()["data"]["task_id"]
            for _ in range(8)
        ]
        file_id = upload(face_jpeg, client.post, client.put, headers)
        quick = client.post(task, json={**body, "src_file_id": file_id}, headers=headers)
        task_id = quick.json()["data"]["task_id"]

        def status(number: str) -> str:
            data = client.get(f"{task}/{number}", headers=headers).json()["data"]
            return str(data["task_status"])

        deadline = time.monotonic() + 60
        while status(task_id) == "running" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert status(task_id) == "success"
        assert {status(number) for number in slow} == {"running"}
