"""Responses of hair reconstruction."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest
import trimesh
from fastapi.testclient import TestClient
from PIL import Image as PillowImage

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings
from emulator.vendors.metahuman.hair_recon.wire import parse_color

URL = "/hair_recon/run_pipeline"
LONG_HAIR = Path(__file__).parents[4] / "fixtures" / "faces" / "long-hair.jpg"


def post(client: Any, photo: bytes, **fields: str) -> Any:
    return client.post(URL, data={"token": "t", **fields}, files={"image_bytes": ("a.jpg", photo)})


def made(client: Any, photo: bytes, **fields: str) -> bytes:
    response = post(client, photo, **fields)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "model/gltf-binary"
    found: bytes = response.content
    return found


def tree(model: bytes) -> Any:
    """Return the JSON of a GLB file."""
    magic, version, length, json_length, _ = struct.unpack_from("<4sIII4s", model)
    assert (magic, version, length) == (b"glTF", 2, len(model))
    return json.loads(model[20 : 20 + json_length])


def linear(color: str) -> list[float]:
    """Return an sRGB colour in hexadecimal as linear light, with an opacity of 1."""
    channels = [channel / 255 for channel in bytes.fromhex(color.lstrip("#"))]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels] + [1.0]


def base_color(model: bytes) -> list[float]:
    (material,) = tree(model)["materials"]
    found: list[float] = material["pbrMetallicRoughness"]["baseColorFactor"]
    return found


@pytest.fixture(scope="module")
def cards(client: httpx.Client, face_jpeg: bytes) -> bytes:
    """Hair with the defaults."""
    return made(client, face_jpeg)


def test_cards_are_the_default_and_have_a_texture(
    client: httpx.Client, face_jpeg: bytes, cards: bytes, result: dict[str, Any]
) -> None:
    document = tree(cards)
    (mesh,) = document["meshes"]
    (primitive,) = mesh["primitives"]
    assert 15_000 <= document["accessors"][primitive["attributes"]["POSITION"]]["count"] <= 25_000
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "TEXCOORD_0"}
    (material,) = document["materials"]
    assert (mesh["name"], material["name"]) == ("hair", "hair")
    assert (material["alphaMode"], material["doubleSided"]) == ("MASK", True)
    assert "baseColorTexture" in material["pbrMetallicRoughness"]
    assert base_color(cards) == pytest.approx(linear(result["hair"]["color"]), abs=1e-6)
    (image,) = document["images"]
    view = document["bufferViews"][image["bufferView"]]
    start = 28 + struct.unpack_from("<I", cards, 12)[0] + view["byteOffset"]
    with PillowImage.open(io.BytesIO(cards[start : start + view["byteLength"]])) as texture:
        assert (texture.format, texture.mode) == ("PNG", "LA")
    assert made(client, face_jpeg, mode="", hair_color="") == cards


def test_a_volume_has_one_colour_and_no_texture(
    client: httpx.Client, face_jpeg: bytes, result: dict[str, Any]
) -> None:
    model = made(client, face_jpeg, mode="volume")
    document = tree(model)
    (primitive,) = document["meshes"][0]["primitives"]
    assert 10_000 <= document["accessors"][primitive["attributes"]["POSITION"]]["count"] <= 20_000
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL"}
    assert not document.get("images")
    assert base_color(model) == pytest.approx(linear(result["hair"]["color"]), abs=1e-6)
    assert trimesh.load_mesh(io.BytesIO(model), file_type="glb").is_watertight


def test_hair_color_replaces_the_colour_of_the_photo(client: httpx.Client, face_jpeg: bytes) -> None:
    model = made(client, face_jpeg, mode="volume", hair_color="#FF8000")
    assert base_color(model) == pytest.approx(linear("ff8000"), abs=1e-6)


@pytest.mark.parametrize("text", ["#ff8000", "ff8000", "#FF8000", "Ff8000"])
def test_a_colour_can_have_a_number_sign_and_upper_case(text: str) -> None:
    assert parse_color(text) == (255, 128, 0)


def test_the_type_of_the_hair_decides_its_length(client: httpx.Client, cards: bytes) -> None:
    lowest = []
    for model in (cards, made(client, LONG_HAIR.read_bytes())):
        document = tree(model)
        (primitive,) = document["meshes"][0]["primitives"]
        lowest.append(document["accessors"][primitive["attributes"]["POSITION"]]["min"][1])
    short, long = lowest
    # In metres above the origin. The chin is about 9 cm below it.
    assert short > -0.09
    assert long < -0.15


def test_the_same_face_as_in_face_reconstruction_is_chosen(
    client: httpx.Client, two_faces_jpeg: bytes
) -> None:
    files = {"image_bytes": ("a.jpg", two_faces_jpeg)}
    described = client.post("/face_recon/run_pipeline", data={"token": "t"}, files=files).json()["result"]
    model = made(client, two_faces_jpeg, mode="volume")
    assert base_color(model) == pytest.approx(linear(described["hair"]["color"]), abs=1e-6)


MODE, COLOR = (7, "wrong hair mode"), (8, "wrong hex string format")


@pytest.mark.parametrize(
    ("photo", "fields", "error"),
    [
        ("landscape", {"mode": "cards", "hair_color": "red"}, MODE),
        ("landscape", {"mode": "Card"}, MODE),
        ("empty", {"mode": "volume", "hair_color": "#fff"}, COLOR),
        ("empty", {"hair_color": "##00000"}, COLOR),
        ("empty", {"hair_color": "00000g"}, COLOR),
        ("empty", {"hair_color": "000000\n"}, COLOR),
        ("empty", {}, (6, "empty input image")),
        ("heavy", {}, (3, "file must be less than 10mb")),
        ("text", {}, (5, "file corrupted")),
        ("landscape", {}, (4, "face not found")),
    ],
)
def test_a_bad_request_is_refused_in_the_documented_words(
    client: httpx.Client, landscape_jpeg: bytes, photo: str, fields: dict[str, str], error: tuple[int, str]
) -> None:
    photos = {
        "landscape": landscape_jpeg,
        "text": b"not a picture",
        "empty": b"",
        "heavy": bytes(10 * 1024 * 1024),
    }
    code, message = error
    response = post(client, photos[photo], **fields)
    assert (response.status_code, response.json()) == (422, {"error": {"code": code, "message": message}})


def test_the_token_is_checked_before_the_other_fields(client: httpx.Client) -> None:
    client.put("/_emulator/credentials", json={"credential": "hairless", "state": "revoked"})
    response = post(client, b"", token="hairless", mode="cards")  # noqa: S106 - not a real token
    assert response.json() == {"error": {"code": 1, "message": "fail authorization"}}


def test_a_fault_causes_the_failure_that_the_emulator_does_not_have(client: httpx.Client) -> None:
    files = {"image_bytes": ("a.jpg", b"")}
    response = client.post(
        URL, data={"token": "t"}, files=files, headers={"X-Emulator-Fault": "GLB_WRITE_ERROR"}
    )
    assert response.status_code == 422
    assert response.json() == {"error": {"code": 2, "message": "glb model write error"}}


def test_an_unknown_token_is_refused(workers: WorkerPool) -> None:
    with TestClient(create_app(Settings(strict=True), workers=workers)) as client:
        response = post(client, b"", mode="cards")
    assert response.status_code == 422
    assert response.json() == {"error": {"code": 0, "message": "unregistered token"}}


def test_missing_and_wrong_fields_are_answered_as_fastapi_does(client: httpx.Client) -> None:
    response = client.post(URL, data={"mode": "cards"}, files={"hair_color": b"ff0000"})
    missing = {"msg": "field required", "type": "value_error.missing"}
    assert response.status_code == 422
    assert response.json() == {
        "detail": [
            {"loc": ["body", "token"], **missing},
            {"loc": ["body", "image_bytes"], **missing},
            {"loc": ["body", "hair_color"], "msg": "str type expected", "type": "type_error.str"},
        ]
    }


def test_the_response_can_be_the_path_of_the_file(
    face_jpeg: bytes, cards: bytes, workers: WorkerPool
) -> None:
    wanted = {"metahuman": {"model_response": "url"}}
    with TestClient(create_app(Settings(vendors=wanted), workers=workers)) as client:
        response = post(client, face_jpeg)
        assert response.status_code == 200
        (result,) = response.json().values()
        (url,) = result.values()
        assert list(response.json()) == ["result"]
        assert list(result) == ["modelUrl"]
        assert url.startswith("/static/a_")
        assert url.endswith("_hair.glb")
        model = client.get(url)
    assert (model.status_code, model.headers["content-type"]) == (200, "model/gltf-binary")
    assert model.content == cards


def test_calls_that_succeed_are_billed(client: httpx.Client, face_jpeg: bytes, landscape_jpeg: bytes) -> None:
    token = "billed-for-hair"  # noqa: S105 - not a real token
    assert post(client, face_jpeg, token=token).status_code == 200
    assert post(client, landscape_jpeg, token=token).status_code == 422
    costs = client.get("/_emulator/costs", params={"credential": token}).json()
    assert costs["operations"] == [
        {"vendor": "metahuman", "operation": "run_hair_pipeline", "calls": 1, "units": 0, "amounts": {}}
    ]
