"""Successful responses of 3D Face."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import trimesh
from PIL import Image as PillowImage
from trimesh.visual import TextureVisuals

from emulator.face.types import Points2, Points3
from emulator.pipelines.core import detector
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.options import ImageRules

URL = "/facepp/v1/3dface"
KEYS = {"api_key": "key", "api_secret": "secret"}
SUCCESS = ["request_id", "mtl_file", "obj_file", "texture_img", "time_used", "transfer_matrix"]
PLAIN = ["request_id", "obj_file", "time_used", "transfer_matrix"]


@pytest.fixture
def folder(answer: dict[str, Any], tmp_path: Path) -> Path:
    """A folder with the three files of the response."""
    for name, member in [("face.obj", "obj_file"), ("face.mtl", "mtl_file"), ("tex.jpg", "texture_img")]:
        (tmp_path / name).write_bytes(base64.b64decode(answer[member], validate=True))
    return tmp_path


def without_what_varies(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in {"request_id", "time_used"}}


def test_success_has_the_documented_members_in_the_samples_order(answer: dict[str, Any]) -> None:
    assert list(answer) == SUCCESS
    second, _, number = answer["request_id"].partition(",")
    assert datetime.fromtimestamp(int(second), UTC) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert uuid.UUID(number).version == 4
    assert isinstance(answer["time_used"], int)
    assert 0 < answer["time_used"] < 60_000
    assert [len(matrix) for matrix in answer["transfer_matrix"]] == [16]


def test_the_journal_has_the_digests_of_the_files(client: httpx.Client, answer: dict[str, Any]) -> None:
    calls = client.get("/_emulator/calls", params={"operation": "3dface", "status": 200}).json()["calls"]
    # The answers of other tests, with injected faults, can be no JSON, or empty.
    answers = [(call["answer"] or {}).get("json", {}) for call in calls]
    (shown,) = [each for each in answers if each.get("request_id") == answer["request_id"]]
    files = {name: base64.b64decode(answer[name]) for name in ("obj_file", "texture_img")}
    described = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "base64": True}
        for name, data in files.items()
    }
    assert shown == answer | described


def test_the_files_open_as_a_textured_mesh(folder: Path) -> None:
    mesh = trimesh.load_mesh(folder / "face.obj", process=False, maintain_order=True)
    assert (len(mesh.vertices), len(mesh.faces)) == (2265, 4456)
    assert isinstance(mesh.visual, TextureVisuals)
    assert mesh.visual.uv.shape == (len(mesh.vertices), 2)
    assert mesh.visual.uv.min() >= 0
    assert mesh.visual.uv.max() <= 1
    assert mesh.visual.material.image.size == (1024, 1024)
    assert (folder / "face.obj").read_text(encoding="ascii").startswith("mtllib face.mtl\n")
    assert "map_Kd tex.jpg\n" in (folder / "face.mtl").read_text(encoding="ascii")
    with PillowImage.open(folder / "tex.jpg") as texture:
        assert (texture.format, texture.mode, texture.size) == ("JPEG", "RGB", (1024, 1024))


def test_the_transfer_matrix_is_weak_perspective(answer: dict[str, Any]) -> None:
    matrix = np.reshape(answer["transfer_matrix"][0], (4, 4))
    scale = np.linalg.norm(matrix[0, :3])
    np.testing.assert_allclose(np.linalg.norm(matrix[1, :3]), scale, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(matrix[2, :3]), scale / 11.0235, rtol=1e-5)
    rows = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=1, keepdims=True)
    np.testing.assert_allclose(rows @ rows.T, np.eye(3), atol=1e-5)
    assert np.linalg.det(rows) > 0
    assert matrix[2, 3] == 0
    assert matrix[3].tolist() == [0, 0, 0, 1]


def landmarks_of(photo: bytes) -> Points2:
    image = decode_picture(photo, ImageRules(frozenset({"jpeg"}))).image
    return detector().detect(image)[0].landmarks[:468, :2]


def vertices_of(obj: str) -> Points3:
    lines = base64.b64decode(obj, validate=True).decode("ascii").splitlines()
    return np.array([[float(x) for x in line.split()[1:]] for line in lines if line.startswith("v ")])


def distance(answer: dict[str, Any], position: int, photo: bytes) -> float:
    """Return how far the projected mesh is from the face in a photo, as a fraction of the eye distance."""
    landmarks = landmarks_of(photo)
    vertices = vertices_of(answer["obj_file"])
    height, width = decode_picture(photo, ImageRules(frozenset({"jpeg"}))).image.shape[:2]
    matrix = np.reshape(answer["transfer_matrix"][position], (4, 4))
    x, y, _, _ = matrix @ np.column_stack([vertices[:468], np.ones(468)]).T
    # The centre of the first pixel is (0.5, 0.5) for Face++, and (0, 0) for the landmarks of the emulator.
    projected = np.column_stack([width / 2 + x, height / 2 - y]) - 0.5
    eyes = np.linalg.norm(landmarks[33] - landmarks[263])
    return float(np.median(np.linalg.norm(projected - landmarks, axis=1) / eyes))


def test_the_transfer_matrix_puts_the_mesh_onto_the_face(answer: dict[str, Any], face_jpeg: bytes) -> None:
    # The shape is the likely one of the person, and not that of the landmarks, so some distance remains.
    assert distance(answer, 0, face_jpeg) < 0.025


def test_numbers_are_the_shortest_float32_forms_and_integers(client: httpx.Client, face_jpeg: bytes) -> None:
    text = client.post(URL, data=KEYS, files={"image_file_1": face_jpeg}).text
    matrix = re.search(r"\[\[(.*?)\]\]", text)
    assert matrix is not None
    numbers = matrix[1].split(", ")
    assert numbers[-6:][1:] == ["0", "0", "0", "0", "1"]
    assert len(numbers) == 16
    for number in numbers[:11]:
        assert str(np.float32(number)) == number


@pytest.mark.parametrize(
    ("flags", "members"),
    [
        ({}, PLAIN),
        ({"texture": "1"}, ["request_id", "obj_file", "texture_img", "time_used", "transfer_matrix"]),
        ({"mtl": "1"}, ["request_id", "mtl_file", "obj_file", "time_used", "transfer_matrix"]),
        ({"texture": "0", "mtl": "0"}, PLAIN),
    ],
)
def test_texture_and_material_are_only_returned_if_requested(
    client: httpx.Client,
    answer: dict[str, Any],
    face_jpeg: bytes,
    flags: dict[str, str],
    members: list[str],
) -> None:
    response = client.post(URL, data={**KEYS, **flags}, files={"image_file_1": face_jpeg})
    assert (response.status_code, list(response.json())) == (200, members)
    expected = {name: answer[name] for name in members}
    assert without_what_varies(response.json()) == without_what_varies(expected)


def test_all_ways_to_send_a_photo_give_the_same_bytes(
    client: httpx.Client, answer: dict[str, Any], face_jpeg: bytes
) -> None:
    flags = {**KEYS, "texture": "1", "mtl": "1"}
    plain = base64.b64encode(face_jpeg).decode()
    wrapped = "data:image/png;base64," + "\r\n".join(re.findall(".{1,64}", plain))
    requests = [
        {"data": {**flags, "image_base64_1": plain}},
        {"data": {**flags, "image_base64_1": wrapped}},
        {"data": {**flags, "image_base64_1": plain}, "files": {"unrelated": b"multipart, then"}},
        {"params": flags, "files": {"image_file_1": face_jpeg}},
        {"data": KEYS, "files": {"image_file_1": face_jpeg, "texture": b"1", "mtl": b"1"}},
        {"data": flags, "files": {"image_file_1": face_jpeg, "texture": b"1", "mtl": b"1"}},
        {"data": {**flags, "image_base64_1": "not read"}, "files": {"image_file_1": face_jpeg}},
        {"data": {**flags, "image_base64_2": "", "image_url_3": ""}, "files": {"image_file_1": face_jpeg}},
    ]
    for request in requests:
        again = client.post(URL, **request)  # type: ignore[arg-type] # requests are keywords of several types
        assert again.status_code == 200, again.text
        assert without_what_varies(again.json()) == without_what_varies(answer)


def test_a_base64_field_can_be_longer_than_a_megabyte(
    client: httpx.Client, answer: dict[str, Any], face_jpeg: bytes
) -> None:
    padded = face_jpeg + bytes(1_300_000)  # decoders ignore bytes after the end of a JPEG
    big = client.post(URL, data={**KEYS, "image_base64_1": base64.b64encode(padded).decode()})
    assert (big.status_code, list(big.json())) == (200, PLAIN)
    assert without_what_varies(big.json()) == without_what_varies({name: answer[name] for name in PLAIN})


def test_three_photos_give_one_mesh_and_three_matrices(client: httpx.Client, face_jpeg: bytes) -> None:
    files = {f"image_file_{number}": face_jpeg for number in (1, 2, 3)}
    response = client.post(URL, data=KEYS, files=files)
    answer = response.json()
    assert (response.status_code, list(answer)) == (200, PLAIN)
    assert len(vertices_of(answer["obj_file"])) == 2265
    matrices = answer["transfer_matrix"]
    assert len(matrices) == 3
    assert matrices[0] == matrices[1] == matrices[2]
    assert distance(answer, 2, face_jpeg) < 0.025


def test_a_photo_is_fetched_from_its_url(client: httpx.Client, answer: dict[str, Any], pictures: str) -> None:
    fetched = client.post(
        URL, data={**KEYS, "texture": "1", "mtl": "1", "image_url_1": f"{pictures}/face.jpg"}
    )
    assert (fetched.status_code, list(fetched.json())) == (200, SUCCESS)
    assert without_what_varies(fetched.json()) == without_what_varies(answer)
