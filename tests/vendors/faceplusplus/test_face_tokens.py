"""Face tokens."""

from __future__ import annotations

import base64
from dataclasses import asdict

import numpy as np
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings
from emulator.vendors.faceplusplus.face_tokens import StoredFace, find_face
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings


def stored(places: bytes) -> StoredFace:
    return StoredFace(12.5, 640, 480, base64.b64encode(places).decode())


def test_a_face_keeps_its_landmarks_exactly() -> None:
    landmarks = np.random.default_rng(1).normal(300, 100, (478, 3))
    face = StoredFace.from_document(asdict(stored(landmarks.astype("<f8").tobytes())))
    assert (face.landmarks == landmarks).all()
    assert (face.created_at, face.width, face.height) == (12.5, 640, 480)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {**asdict(stored(bytes(478 * 24))), "created_at": "soon"},
        {**asdict(stored(bytes(478 * 24))), "places": "%"},
        asdict(stored(bytes(477 * 24))),
        asdict(stored(b"\xff" * (478 * 24))),
    ],
)
def test_a_record_that_is_no_face_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        StoredFace.from_document(document)


def test_a_token_expires_and_belongs_to_its_key(workers: WorkerPool, face_jpeg: bytes) -> None:
    settings = FacePlusPlusSettings()
    with TestClient(create_app(Settings(), workers=workers)) as client:
        client.post("/_emulator/clock/freeze", json={"at": "2026-01-02T03:04:05Z"}).raise_for_status()
        found = client.post(
            "/facepp/v3/detect",
            data={"api_key": "mine", "api_secret": "s"},
            files={"image_file": ("a.jpg", face_jpeg)},
        )
        token = found.json()["faces"][0]["face_token"]
        world = client.app.state.world  # type: ignore[attr-defined]  # Starlette types it as any ASGI app
        assert client.portal is not None
        look = client.portal.call
        face = look(find_face, world, token, "mine", settings)
        assert face is not None
        assert face.landmarks.shape == (478, 3)
        assert look(find_face, world, token, "yours", settings) is None
        assert look(find_face, world, token[::-1], "mine", settings) is None
        for hours, is_known in ((71.999, True), (0.001, False)):
            client.post("/_emulator/clock/advance", json={"seconds": 3600 * hours}).raise_for_status()
            assert (look(find_face, world, token, "mine", settings) is not None) == is_known
