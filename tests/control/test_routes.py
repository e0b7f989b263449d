from __future__ import annotations

from pathlib import Path

import httpx

import emulator
from emulator.server import running_server
from emulator.settings import Settings


def test_health_says_what_is_served(client: httpx.Client) -> None:
    assert client.get("/_emulator/health").json() == {
        "status": "ok",
        "version": emulator.__version__,
        "vendors": {
            "faceplusplus": ["/facepp"],
            "metahuman": ["/auth", "/face_recon", "/static"],
            "perfectcorp": ["/s2s", "/yce-us"],
        },
    }


def test_the_server_answers_before_it_is_ready_and_work_waits_for_the_core(face_jpeg: bytes) -> None:
    headers = {"Authorization": "Bearer sk-early"}
    task = "/s2s/v2.0/task/face-reshape"
    with (
        running_server(Settings(workers=1)) as server,
        httpx.Client(base_url=server.base_url, timeout=120) as client,
    ):
        # All of this is answered long before a face core can be there.
        assert client.get("/_emulator/health").status_code == 200
        assert client.post("/facepp/v1/3dface").json() == {"error_message": "MISSING_ARGUMENTS: api_key"}
        new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(face_jpeg)}
        answer = client.post("/s2s/v2.0/file", json={"files": [new]}, headers=headers).json()
        file = answer["data"]["files"][0]
        request = file["requests"][0]
        client.request(request["method"], request["url"], headers=request["headers"], content=face_jpeg)
        body = {"src_file_id": file["file_id"], "version": "1.0", "features": {"jaw": 50}, "global": {}}
        task_id = client.post(task, json=body, headers=headers).json()["data"]["task_id"]
        early = client.get(f"{task}/{task_id}", headers=headers)
        assert early.json()["data"]["task_status"] == "running"
        not_ready = client.get("/_emulator/ready")
        assert (not_ready.status_code, not_ready.json()) == (503, {"ready": False})
        # A request that needs the face core waits for it.
        answer = client.post(
            "/facepp/v1/3dface",
            data={"api_key": "k", "api_secret": "s"},
            files={"image_file_1": face_jpeg},
        )
        assert answer.status_code == 200
        assert client.get("/_emulator/ready").json() == {"ready": True}
        late = client.get(f"{task}/{task_id}", headers=headers)
        assert late.json()["data"]["task_status"] == "success"


def test_with_a_data_dir_everything_is_there_after_a_restart(tmp_path: Path, face_jpeg: bytes) -> None:
    settings = Settings(workers=1, data_dir=tmp_path / "data")
    with running_server(settings) as server:
        url = httpx.post(
            f"{server.base_url}/face_recon/run_pipeline",
            data={"token": "t"},
            files={"image_bytes": ("a.jpg", face_jpeg)},
            timeout=120,
        ).json()["result"]["face"]["textureUrl"]
        texture = httpx.get(server.base_url + url).content
    with running_server(settings) as server:
        assert httpx.get(server.base_url + url).content == texture
