"""Face++ over the wire."""

from __future__ import annotations

import base64
import contextlib
import http.server
import io
import re
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import trimesh
from fastapi.testclient import TestClient
from PIL import Image as PillowImage
from trimesh.visual import TextureVisuals

from emulator.app import create_app
from emulator.pipelines.core import detector
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.options import ImageRules
from emulator.vendors.faceplusplus import routes
from emulator.web.fetch import FetchTimedOut, HttpFetcher

URL = "/facepp/v1/3dface"
KEYS = {"api_key": "key", "api_secret": "secret"}
SUCCESS = ["request_id", "mtl_file", "obj_file", "texture_img", "time_used", "transfer_matrix"]


@pytest.fixture(scope="module")
def answer(client: httpx.Client, face_jpeg: bytes) -> dict[str, Any]:
    response = client.post(
        URL, data={**KEYS, "texture": "1", "mtl": "1"}, files={"image_file_1": ("me.jpg", face_jpeg)}
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    document: dict[str, Any] = response.json()
    return document


@pytest.fixture
def folder(answer: dict[str, Any], tmp_path: Path) -> Path:
    """The three files, saved under the names that the vendor prescribes."""
    for name, member in [("face.obj", "obj_file"), ("face.mtl", "mtl_file"), ("tex.jpg", "texture_img")]:
        (tmp_path / name).write_bytes(base64.b64decode(answer[member], validate=True))
    return tmp_path


def without_what_varies(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in {"request_id", "time_used"}}


def test_success_has_the_documented_members_in_the_samples_order(answer: dict[str, Any]) -> None:
    assert list(answer) == SUCCESS
    second, _, number = answer["request_id"].partition(",")
    assert second.isdigit()
    assert uuid.UUID(number).version == 4
    assert isinstance(answer["time_used"], int)
    assert [len(matrix) for matrix in answer["transfer_matrix"]] == [16]


def test_the_files_open_as_a_textured_mesh(folder: Path) -> None:
    mesh = trimesh.load_mesh(folder / "face.obj", process=False, maintain_order=True)
    assert len(mesh.faces) > 800
    assert isinstance(mesh.visual, TextureVisuals)
    assert mesh.visual.uv.shape == (len(mesh.vertices), 2)
    assert mesh.visual.uv.min() >= 0
    assert mesh.visual.uv.max() <= 1
    assert mesh.visual.material.image.size == (1024, 1024)
    assert (folder / "face.obj").read_text(encoding="ascii").startswith("mtllib face.mtl\n")
    assert "map_Kd tex.jpg\n" in (folder / "face.mtl").read_text(encoding="ascii")
    with PillowImage.open(folder / "tex.jpg") as texture:
        assert (texture.format, texture.mode) == ("JPEG", "RGB")


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


def test_the_transfer_matrix_puts_the_mesh_onto_the_face(
    answer: dict[str, Any], folder: Path, face_jpeg: bytes
) -> None:
    image = decode_picture(face_jpeg, ImageRules(frozenset({"jpeg"}))).image
    landmarks = detector().detect(image)[0].landmarks[:468]
    lines = (folder / "face.obj").read_text().splitlines()
    vertices = np.array([[float(x) for x in line.split()[1:]] for line in lines if line.startswith("v ")])
    height, width = image.shape[:2]
    matrix = np.reshape(answer["transfer_matrix"][0], (4, 4))
    x, y, _, _ = matrix @ np.column_stack([vertices[:468], np.ones(468)]).T
    # Pixel centres are at half numbers in the documented frame, at integers in ours.
    projected = np.column_stack([width / 2 + x, height / 2 - y]) - 0.5
    eyes = np.linalg.norm(landmarks[33, :2] - landmarks[263, :2])
    errors = np.linalg.norm(projected - landmarks[:, :2], axis=1) / eyes
    assert np.median(errors) < 0.01


def test_numbers_are_the_shortest_float32_forms_and_integers(client: httpx.Client, face_jpeg: bytes) -> None:
    text = client.post(URL, data=KEYS, files={"image_file_1": face_jpeg}).text
    matrix = re.search(r"\[\[(.*?)\]\]", text)
    assert matrix is not None
    numbers = matrix[1].split(", ")
    assert numbers[-6:][1:] == ["0", "0", "0", "0", "1"]
    for number in numbers[:8]:
        assert str(np.float32(number)) == number


def test_texture_and_material_come_only_when_asked_for(client: httpx.Client, face_jpeg: bytes) -> None:
    plain = client.post(URL, data=KEYS, files={"image_file_1": face_jpeg}).json()
    assert list(plain) == ["request_id", "obj_file", "time_used", "transfer_matrix"]
    textured = client.post(URL, data={**KEYS, "texture": "1"}, files={"image_file_1": face_jpeg}).json()
    assert list(textured) == ["request_id", "obj_file", "texture_img", "time_used", "transfer_matrix"]


def test_the_same_photo_gives_the_same_bytes_however_it_is_sent(
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
        again = client.post(URL, **request)  # type: ignore[arg-type] # a request is keywords of several types
        assert again.status_code == 200, again.text
        assert without_what_varies(again.json()) == without_what_varies(answer)


def test_a_big_photo_fits_into_a_field(client: httpx.Client, face_jpeg: bytes) -> None:
    padded = face_jpeg + bytes(1_300_000)  # bytes behind the end of a JPEG mean nothing
    answer = client.post(URL, data={**KEYS, "image_base64_1": base64.b64encode(padded).decode()})
    assert answer.status_code == 200, answer.text


def test_three_photos_give_one_mesh_and_three_matrices(client: httpx.Client, face_jpeg: bytes) -> None:
    files = {f"image_file_{number}": face_jpeg for number in (1, 2, 3)}
    answer = client.post(URL, data=KEYS, files=files).json()
    matrices = answer["transfer_matrix"]
    assert len(matrices) == 3
    assert matrices[0] == matrices[1] == matrices[2]


@pytest.fixture(scope="module")
def pictures(face_jpeg: bytes) -> Iterator[str]:
    """The base URL of a server of pictures."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = {"/face.jpg": face_jpeg, "/heavy.jpg": face_jpeg + bytes(2 * 1024 * 1024)}.get(self.path)
            self.send_response(404 if data is None else 200)
            self.end_headers()
            # The client hangs up when it has seen too much.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_photo_is_fetched_from_its_url(client: httpx.Client, answer: dict[str, Any], pictures: str) -> None:
    fetched = client.post(
        URL, data={**KEYS, "texture": "1", "mtl": "1", "image_url_1": f"{pictures}/face.jpg"}
    )
    assert without_what_varies(fetched.json()) == without_what_varies(answer)


def jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (width, height), "grey").save(buffer, "JPEG")
    return buffer.getvalue()


def png(data: bytes) -> bytes:
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(data)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        ({}, 400, '{"error_message":"MISSING_ARGUMENTS: api_key"}'),
        ({"api_key": ""}, 400, '{"error_message":"MISSING_ARGUMENTS: api_key"}'),
        ({"api_key": "key"}, 400, '{"error_message":"MISSING_ARGUMENTS: api_secret"}'),
    ],
)
def test_the_gateway_refuses_without_credentials(
    client: httpx.Client, face_jpeg: bytes, data: dict[str, str], status: int, text: str
) -> None:
    response = client.post(URL, data=data, files={"image_file_1": face_jpeg})
    assert (response.status_code, response.text) == (status, text)


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "text/plain"])
def test_a_body_that_is_no_form_has_no_fields(client: httpx.Client, content_type: str) -> None:
    response = client.post(URL, content=b'{"api_key": "key"}', headers={"content-type": content_type})
    assert (response.status_code, response.text) == (400, '{"error_message":"MISSING_ARGUMENTS: api_key"}')


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_served(client: httpx.Client, method: str) -> None:
    response = client.request(method, URL)
    assert (response.status_code, response.text) == (405, '{"error_message":"METHOD_NOT_ALLOWED"}')
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/facepp", "/facepp/v1/3dface/", "/facepp/v2/3dface"])
def test_an_unknown_path_is_the_gateways(client: httpx.Client, path: str) -> None:
    response = client.post(path, data=KEYS)
    assert (response.status_code, response.text) == (404, '{"error_message":"API_NOT_FOUND"}')


@pytest.mark.parametrize(
    ("data", "file", "message"),
    [
        ({}, None, "MISSING_ARGUMENTS: image_url_1, image_file_1, image_base64_1"),
        ({"texture": "2"}, "face", "BAD_ARGUMENTS: texture"),
        ({"mtl": "yes"}, "face", "BAD_ARGUMENTS: mtl"),
        ({}, "text", "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file_1"),
        ({}, "png", "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file_1"),
        ({}, "truncated", "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file_1"),
        ({"image_base64_1": "!"}, None, "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_base64_1"),
        ({}, "small", "INVALID_IMAGE_SIZE: image_file_1"),
        ({}, "wide", "INVALID_IMAGE_SIZE: image_file_1"),
        ({}, "landscape", "NO_FACE_FOUND: image_file_1"),
        ({}, "two", "MULTIPLE_FACE_FOUND: image_file_1"),
        (
            {"image_base64_2": "bm90IGEgcGljdHVyZQ=="},
            "face",
            "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_base64_2",
        ),
        ({"image_url_1": "http://127.0.0.1:9/"}, None, "INVALID_IMAGE_URL"),
        ({"image_url_1": "ftp://nowhere"}, None, "INVALID_IMAGE_URL"),
        ({"image_url_1": "nonsense"}, None, "INVALID_IMAGE_URL"),
    ],
)
def test_the_api_refuses_with_all_three_members(
    client: httpx.Client,
    face_jpeg: bytes,
    two_faces_jpeg: bytes,
    landscape_jpeg: bytes,
    data: dict[str, str],
    file: str | None,
    message: str,
) -> None:
    files = {
        "face": face_jpeg,
        "two": two_faces_jpeg,
        "landscape": landscape_jpeg,
        "text": b"not a picture",
        "png": png(face_jpeg),
        "truncated": face_jpeg[: len(face_jpeg) // 2],
        "small": jpeg(199, 400),
        "wide": jpeg(4097, 300),
    }
    response = client.post(URL, data={**KEYS, **data}, files={"image_file_1": files[file]} if file else None)
    answer = response.json()
    assert response.status_code == 400
    assert list(answer) == ["time_used", "error_message", "request_id"]
    assert answer["error_message"] == message
    assert response.text.startswith(f'{{"time_used": {answer["time_used"]}, "error_message": "')


def test_a_heavy_photo_is_refused_where_the_request_is_small(client: httpx.Client, pictures: str) -> None:
    response = client.post(URL, data={**KEYS, "image_url_1": f"{pictures}/heavy.jpg"})
    assert (response.status_code, response.json()["error_message"]) == (
        400,
        "IMAGE_FILE_TOO_LARGE: image_url_1",
    )


def test_a_heavy_request_is_refused_by_the_proxy(client: httpx.Client, face_jpeg: bytes) -> None:
    """As a page of HTML, before anything else is looked at, and while the body still streams in."""
    declared = client.post(URL, files={"image_file_1": face_jpeg + bytes(2 * 1024 * 1024)})
    head = b'--b\r\nContent-Disposition: form-data; name="image_file_1"; filename="a.jpg"\r\n\r\n'
    streamed = client.post(
        URL,
        content=(head if number == 0 else bytes(65536) for number in range(100)),
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    for response in (declared, streamed):
        assert (response.status_code, response.headers["content-type"]) == (413, "text/html; charset=utf-8")
        assert response.text == (
            "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n"
            '<body bgcolor="white">\r\n<center><h1>413 Request Entity Too Large</h1></center>\r\n'
            "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        )


def test_what_is_wrong_with_an_earlier_image_is_said_first(
    client: httpx.Client, landscape_jpeg: bytes
) -> None:
    response = client.post(URL, data={**KEYS, "image_base64_2": "!"}, files={"image_file_1": landscape_jpeg})
    assert response.json()["error_message"] == "NO_FACE_FOUND: image_file_1"
    later = client.post(URL, data={**KEYS, "texture": "2"}, files={"image_file_1": landscape_jpeg})
    assert later.json()["error_message"] == "BAD_ARGUMENTS: texture"


def test_browsers_may_call_from_anywhere(client: httpx.Client) -> None:
    preflight = client.options(
        URL, headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    )
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, "*")
    for headers in ({"Origin": "https://app.example"}, {}):
        assert client.post(URL, headers=headers).headers["access-control-allow-origin"] == "*"


def test_a_slow_url_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(_self: HttpFetcher, url: str, *, limit: int, timeout_s: float) -> bytes:
        raise FetchTimedOut(url, f"more than {timeout_s} s for {limit} bytes")

    monkeypatch.setattr(HttpFetcher, "fetch", wait)
    with TestClient(create_app()) as client:
        answer = client.post(URL, data={**KEYS, "image_url_1": "http://slow.example/a.jpg"})
    assert (answer.status_code, answer.json()["error_message"]) == (412, "IMAGE_DOWNLOAD_TIMEOUT")


def test_a_defect_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(routes, "authenticate", fail)
    with TestClient(create_app(), raise_server_exceptions=False) as client:
        answer = client.post(URL, data=KEYS)
    assert (answer.status_code, answer.json()["error_message"]) == (500, "INTERNAL_ERROR")
    assert list(answer.json()) == ["time_used", "error_message", "request_id"]
