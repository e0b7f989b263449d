from __future__ import annotations

import httpx


def test_calls_that_succeed_are_billed(client: httpx.Client, face_jpeg: bytes, landscape_jpeg: bytes) -> None:
    data = {"api_key": "billed-key", "api_secret": "s"}
    for photo, status in ((face_jpeg, 200), (landscape_jpeg, 400)):
        answer = client.post("/facepp/v1/3dface", data=data, files={"image_file_1": photo})
        assert answer.status_code == status
    costs = client.get("/_emulator/costs", params={"credential": "billed-key"}).json()
    assert costs["operations"] == [
        {"vendor": "faceplusplus", "operation": "3dface", "calls": 1, "units": 0, "amounts": {}}
    ]
