from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from uploads import upload

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.server import running_server
from emulator.settings import Settings

COSTS = "/_emulator/costs"
TASK = "/s2s/v2.0/task/face-reshape"
PRICES: dict[str, dict[str, Any]] = {
    "faceplusplus": {"prices": {"3dface": {"amount": 0.1, "currency": "CNY"}}},
    "metahuman": {"prices": '{"run_pipeline": {"amount": "0.30", "currency": "USD"}}'},
    "perfectcorp": {"prices": {"unit": {"amount": "0.007"}}, "reshape_units": 3},
}


@pytest.fixture(scope="module")
def client(workers: WorkerPool) -> Iterator[httpx.Client]:
    with (
        running_server(Settings(vendors=PRICES), workers=workers) as server,
        httpx.Client(base_url=server.base_url, timeout=120) as client,
    ):
        yield client


def three_d_face(client: httpx.Client, key: str, photo: bytes, fault: str | None = None) -> httpx.Response:
    return client.post(
        "/facepp/v1/3dface",
        data={"api_key": key, "api_secret": "s"},
        files={"image_file_1": photo},
        headers={} if fault is None else {"X-Emulator-Fault": fault},
    )


def reshape(client: httpx.Client, key: str, photo: bytes, fault: str | None = None) -> str:
    headers = {"Authorization": f"Bearer {key}"}
    file_id = upload(photo, client.post, httpx.put, headers)
    body = {"src_file_id": file_id, "version": "1.0", "features": {"jaw": 10}, "global": {}}
    in_band = {} if fault is None else {"X-Emulator-Fault": fault}
    created = client.post(TASK, json=body, headers={**headers, **in_band})
    if created.is_error:
        return "refused"
    path = f"{TASK}/{created.json()['data']['task_id']}"
    while True:
        status: str = client.get(path, headers=headers).json()["data"]["task_status"]
        if status != "running":
            return status


def costs(client: httpx.Client, key: str) -> Any:
    return client.get(COSTS, params={"credential": key}).json()


def test_successful_calls_are_billed_at_the_configured_prices(
    client: httpx.Client, face_jpeg: bytes, landscape_jpeg: bytes
) -> None:
    key = "billed"
    assert costs(client, key) == {"operations": [], "totals": {}, "unpriced": []}
    for _ in range(3):
        assert three_d_face(client, key, face_jpeg).status_code == 200
    assert three_d_face(client, key, landscape_jpeg).status_code == 400
    files = {"image_bytes": ("a.jpg", face_jpeg)}
    assert client.post("/face_recon/run_pipeline", data={"token": key}, files=files).status_code == 200
    files = {"image_bytes": ("a.jpg", landscape_jpeg)}
    assert client.post("/face_recon/run_pipeline", data={"token": key}, files=files).status_code == 422
    assert reshape(client, key, face_jpeg) == "success"
    assert reshape(client, key, landscape_jpeg) == "error"
    # Exactly 0.3, because amounts are decimal numbers.
    assert costs(client, key) == {
        "operations": [
            operation("faceplusplus", "3dface", 3, 0, {"CNY": "0.3"}),
            operation("metahuman", "run_pipeline", 1, 0, {"USD": "0.30"}),
            operation("perfectcorp", "create_reshape", 1, 3, {"USD": "0.021"}),
        ],
        "totals": {"CNY": "0.3", "USD": "0.321"},
        "unpriced": [],
    }


def operation(vendor: str, name: str, calls: int, units: int, amounts: dict[str, str]) -> dict[str, Any]:
    return {"vendor": vendor, "operation": name, "calls": calls, "units": units, "amounts": amounts}


def test_calls_with_faults_are_billed_only_if_the_work_was_done(
    client: httpx.Client, face_jpeg: bytes
) -> None:
    key = "billed-for-faults"
    for fault in ("INTERNAL_ERROR", "unavailable"):
        assert three_d_face(client, key, face_jpeg, fault).is_server_error
    assert reshape(client, key, face_jpeg, "TooManyRequests") == "refused"
    assert reshape(client, key, face_jpeg, "error_inference") == "error"
    assert costs(client, key)["operations"] == []
    with pytest.raises(httpx.RemoteProtocolError):
        three_d_face(client, key, face_jpeg, "answer-lost")
    assert costs(client, key)["operations"] == [operation("faceplusplus", "3dface", 1, 0, {"CNY": "0.1"})]


def test_a_reset_of_costs_affects_only_one_credential(client: httpx.Client, face_jpeg: bytes) -> None:
    for key in ("reset-me", "leave-me"):
        assert three_d_face(client, key, face_jpeg).status_code == 200
    assert client.delete(COSTS, params={"credential": "reset-me"}).status_code == 204
    assert costs(client, "reset-me")["operations"] == []
    assert costs(client, "leave-me")["totals"] == {"CNY": "0.1"}
    everybodys = client.get(COSTS).json()["operations"]
    assert sum(cost["calls"] for cost in everybodys if cost["vendor"] == "faceplusplus") >= 1


def test_counts_survive_with_a_data_folder_and_have_no_price_by_default(
    workers: WorkerPool, tmp_path: Path, face_jpeg: bytes
) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    expected = {
        "operations": [operation("faceplusplus", "3dface", 1, 0, {})],
        "totals": {},
        "unpriced": ["faceplusplus/3dface"],
    }
    for first in (True, False):
        with (
            running_server(settings, workers=workers) as server,
            httpx.Client(base_url=server.base_url, timeout=120) as client,
        ):
            if first:
                assert three_d_face(client, "k", face_jpeg).status_code == 200
            assert client.get(COSTS).json() == expected


@pytest.mark.parametrize(
    ("prices", "complaint"),
    [
        ({"3d-face": {"amount": "1"}}, "there is no operation 3d-face; there are 3dface, "),
        ({"3dface": {"amount": "-1"}}, "greater than or equal to 0"),
        ({"3dface": {"amount": "1", "currency": "dollars"}}, "currency"),
    ],
)
def test_an_invalid_price_prevents_the_start(prices: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        create_app(Settings(vendors={"faceplusplus": {"prices": prices}}))
