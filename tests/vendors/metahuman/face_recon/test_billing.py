from __future__ import annotations

import httpx


def test_calls_that_succeed_are_billed(client: httpx.Client, face_jpeg: bytes, landscape_jpeg: bytes) -> None:
    for photo, status in ((face_jpeg, 200), (landscape_jpeg, 422)):
        files = {"image_bytes": ("a.jpg", photo)}
        answer = client.post("/face_recon/run_pipeline", data={"token": "billed-token"}, files=files)
        assert answer.status_code == status
    costs = client.get("/_emulator/costs", params={"credential": "billed-token"}).json()
    assert costs["operations"] == [
        {"vendor": "metahuman", "operation": "run_pipeline", "calls": 1, "units": 0, "amounts": {}}
    ]
