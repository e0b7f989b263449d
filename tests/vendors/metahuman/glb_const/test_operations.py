"""Responses of the GLB constructor."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from glb_files import unpacked, values, view
from PIL import Image as PillowImage

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.drift.samples import picture
from emulator.face.complete_head import complete_head, complete_head_data
from emulator.face.fit import fit_head
from emulator.face.glb_merge import Glb, pack_glb, read_glb
from emulator.face.head_layout import skin_layout
from emulator.face.unfolding import unfolded
from emulator.pipelines.core import detector
from emulator.pipelines.reconstruct import CROPS
from emulator.settings import Settings
from emulator.world.credentials import CredentialState

GLB = "/glb_const"
MODEL = picture("model.glb")
HEAD_FILE = picture("head.json")
HEAD: dict[str, Any] = json.loads(HEAD_FILE)
SCHEMA = {"hair": ["hair_01", "hair_02"], "body": ["body_01"]}


def png(side: int = 8, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def put_schema(client: Any, token: str, schema: Any = SCHEMA) -> Any:
    data = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    return client.put(f"{GLB}/schema", data={"token": token}, files={"schema": ("schema.json", data)})


def get_schema(client: Any, token: str) -> Any:
    return client.post(f"{GLB}/schema", data={"token": token})


def put_model(client: Any, token: str, data: bytes = MODEL, **fields: str) -> Any:
    known = {"sha256": hashlib.sha256(data).hexdigest(), "data_type": "body", "data_id": "body_01"}
    return client.put(
        f"{GLB}/glb", data={"token": token} | known | fields, files={"data": ("model.glb", data)}
    )


def assemble(
    client: Any, token: str, *, models: Any = None, fields: Mapping[str, str] = {}, **files: Any
) -> Any:
    """Return the response to a request. ``None`` as a file leaves it out."""
    sent = {
        "head_uv": png(), "head_config": json.dumps(HEAD).encode(),
        "models_congig": json.dumps(models or {}).encode(),
    } | files  # fmt: skip
    parts = [
        (name, (name, data))
        for name, value in sent.items()
        for data in (value if isinstance(value, list) else [value])
        if data is not None
    ]
    return client.post(f"{GLB}/assemble", data={"token": token, **fields}, files=parts)


def error(answer: Any) -> tuple[int, int, str]:
    body = answer.json()["error"]
    return answer.status_code, body["code"], body["message"]


@pytest.fixture(scope="module")
def head(client: httpx.Client) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary chunk of a head with blend shapes and without models."""
    assert put_schema(client, "glb-head", {}).status_code == 200
    answer = assemble(client, "glb-head", fields={"add_facs": "true"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "model/gltf-binary"
    return unpacked(answer.content)


def test_a_schema_is_stored_and_read_back(client: httpx.Client) -> None:
    loaded = put_schema(client, "glb-schema")
    assert (loaded.status_code, loaded.json()) == (200, {"result": {"status": "schema loaded successfully"}})
    assert get_schema(client, "glb-schema").json() == {"result": SCHEMA}
    put_schema(client, "glb-schema", {})
    assert get_schema(client, "glb-schema").json() == {"result": {}}


def test_a_schema_belongs_to_its_token(client: httpx.Client) -> None:
    put_schema(client, "glb-mine")
    assert error(get_schema(client, "glb-yours")) == (422, 2, "schema not loaded")
    assert error(put_model(client, "glb-yours")) == (422, 2, "schema not loaded")
    assert error(assemble(client, "glb-yours")) == (422, 2, "schema not loaded")


@pytest.mark.parametrize(
    "schema",
    [
        b"{", b"[]", b'"text"', b'{"hair": "hair_01"}', b'{"hair": {"a": []}}', b'{"hair": [1]}',
        b'{"hair": ["a", "a"]}', b'{"hair": [["a"]]}', b'{"\\ud800": []}', b"\xff", b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_schema_that_breaks_the_rules_is_refused_and_not_stored(
    client: httpx.Client, schema: bytes
) -> None:
    put_schema(client, "glb-rules")
    assert error(put_schema(client, "glb-rules", schema)) == (422, 21, "schema error")
    assert get_schema(client, "glb-rules").json() == {"result": SCHEMA}


def test_an_empty_schema_file_is_a_missing_schema(client: httpx.Client) -> None:
    assert error(put_schema(client, "glb-empty", b"")) == (422, 20, "missing schema")


@pytest.mark.parametrize(
    ("data", "fields", "code", "message"),
    [
        (MODEL, {"sha256": "0" * 64}, 3, "invalid checksum"),
        (MODEL, {"sha256": "sömething"}, 3, "invalid checksum"),
        (MODEL, {"data_type": "legs"}, 4, "invalid model type"),
        (MODEL, {"data_id": "body_02"}, 5, "invalid model id for type"),
        (b"", {}, 6, "model must be in glb format"),
        (b"PK\3\4 a zip file", {}, 6, "model must be in glb format"),
        (MODEL[:-1], {}, 7, "model load fail"),
        (MODEL.replace(b'"material":0', b'"material":7'), {}, 7, "model load fail"),
    ],
)
def test_a_bad_model_is_refused(
    client: httpx.Client, data: bytes, fields: dict[str, str], code: int, message: str
) -> None:
    put_schema(client, "glb-bad")
    assert error(put_model(client, "glb-bad", data, **fields)) == (422, code, message)


def test_the_checks_of_a_model_have_an_order(client: httpx.Client) -> None:
    """The order is: schema, type, id, checksum, format."""
    fields = {"data_type": "legs", "data_id": "body_02", "sha256": "0"}
    codes = []
    for known in (
        {},
        {"data_type": "body"},
        {"data_id": "body_01"},
        {"sha256": hashlib.sha256(b"-").hexdigest()},
    ):
        fields |= known
        codes.append(error(put_model(client, "glb-order", b"-", **fields))[1])
        put_schema(client, "glb-order")
    codes.append(error(put_model(client, "glb-order", b"-", **fields))[1])
    assert codes == [2, 5, 3, 6, 6]


def test_an_empty_schema_gives_the_head_alone(head: tuple[dict[str, Any], bytes]) -> None:
    tree, binary = head
    assert tree["nodes"] == [{"name": "head", "mesh": 0}]
    (mesh,) = tree["meshes"]
    positions = [values(tree, binary, each["attributes"]["POSITION"]) for each in mesh["primitives"]]
    assert sum(map(len, positions)) == 5255
    everything = np.concatenate(positions)
    # In metres: y up, the face towards z.
    assert np.ptp(everything[:, 1]) == pytest.approx(0.27, abs=0.05)
    assert everything[:, 2].argmax() < len(positions[0])


def test_the_response_can_be_the_path_of_the_file(
    head: tuple[dict[str, Any], bytes], workers: WorkerPool
) -> None:
    wanted = {"metahuman": {"model_response": "url"}}
    with TestClient(create_app(Settings(vendors=wanted), workers=workers)) as client:
        put_schema(client, "glb-url", {})
        (result,) = assemble(client, "glb-url").json().values()
        assert result["modelUrl"].startswith("/static/head_uv_")
        assert result["modelUrl"].endswith("_avatar.glb")
        model = client.get(result["modelUrl"])
    assert model.headers["content-type"] == "model/gltf-binary"
    assert unpacked(model.content)[0]["nodes"] == head[0]["nodes"]


def test_the_texture_is_embedded_as_it_is(client: httpx.Client, head: tuple[dict[str, Any], bytes]) -> None:
    tree, binary = head
    image = tree["images"][tree["textures"][0]["source"]]
    assert image["mimeType"] == "image/png"
    assert view(tree, binary, image["bufferView"]) == png()
    # glTF has no BMP.
    put_schema(client, "glb-bmp", {})
    tree, binary = unpacked(assemble(client, "glb-bmp", head_uv=png(8, "BMP")).content)
    embedded = view(tree, binary, tree["images"][0]["bufferView"])
    with PillowImage.open(io.BytesIO(embedded)) as opened, PillowImage.open(io.BytesIO(png())) as sent:
        assert (opened.format, opened.tobytes()) == ("PNG", sent.tobytes())


@pytest.mark.parametrize(
    ("flag", "has_shapes"),
    [
        (None, False),
        ("false", False),
        ("0", False),
        ("off", False),
        ("True", True),
        ("1", True),
        ("yes", True),
    ],
)
def test_the_52_blend_shapes_are_added_on_request(
    client: httpx.Client, flag: str | None, *, has_shapes: bool
) -> None:
    put_schema(client, "glb-facs", {})
    answer = assemble(client, "glb-facs", fields={} if flag is None else {"add_facs": flag})
    (mesh,) = unpacked(answer.content)[0]["meshes"]
    names = mesh.get("extras", {}).get("targetNames", [])
    assert sorted(names) == (sorted(complete_head_data().units) if has_shapes else [])
    assert all(("targets" in primitive) == has_shapes for primitive in mesh["primitives"])


def test_another_flag_is_answered_as_fastapi_does(client: httpx.Client) -> None:
    answer = assemble(client, "glb-flag", fields={"add_facs": "maybe"})
    wrong = {
        "loc": ["body", "add_facs"],
        "msg": "value could not be parsed to a boolean",
        "type": "type_error.bool",
    }
    assert (answer.status_code, answer.json()) == (422, {"detail": [wrong]})


@pytest.mark.parametrize("name", ["models_congig", "models_config"])
def test_the_chosen_models_are_merged_with_the_head(client: httpx.Client, name: str) -> None:
    token = f"glb-{name}"
    put_schema(client, token)
    loaded = put_model(client, token)
    assert (loaded.status_code, loaded.json()) == (200, {"result": {"status": "model loaded successfully"}})
    chosen = json.dumps({"body": ["body_01"]}).encode()
    files: dict[str, Any] = {"models_congig": None, name: chosen}
    tree, _ = unpacked(assemble(client, token, **files).content)
    assert [node["name"] for node in tree["nodes"]] == ["head", "model"]
    assert tree["scenes"][tree["scene"]]["nodes"] == [0, 1]


def test_models_config_is_ignored_beside_the_documented_name(client: httpx.Client) -> None:
    put_schema(client, "glb-both", {})
    assert assemble(client, "glb-both", models_config=b"no JSON").status_code == 200


def test_models_keep_their_order_and_custom_models_follow(client: httpx.Client) -> None:
    def named(name: bytes) -> bytes:
        return MODEL.replace(b'"name":"model"', b'"name":"%s"' % name)

    put_schema(client, "glb-custom")
    put_model(client, "glb-custom", named(b"BODY_"))
    put_model(client, "glb-custom", named(b"HAIR_"), data_type="hair", data_id="hair_02")
    models = {"hair": ["hair_02"], "body": ["body_01"]}
    answer = assemble(client, "glb-custom", models=models, custom_models=[named(b"hat__"), named(b"shoes")])
    tree, _ = unpacked(answer.content)
    assert [node["name"] for node in tree["nodes"]] == ["head", "HAIR_", "BODY_", "hat__", "shoes"]


def test_a_model_that_is_loaded_again_replaces_the_first(client: httpx.Client) -> None:
    put_schema(client, "glb-again")
    put_model(client, "glb-again")
    put_model(client, "glb-again", MODEL.replace(b'"name":"model"', b'"name":"other"'))
    tree, _ = unpacked(assemble(client, "glb-again", models={"body": ["body_01"]}).content)
    assert [node["name"] for node in tree["nodes"]] == ["head", "other"]


def test_a_new_schema_keeps_the_models_that_it_has_and_drops_the_others(client: httpx.Client) -> None:
    put_schema(client, "glb-new")
    put_model(client, "glb-new")
    put_model(client, "glb-new", data_type="hair", data_id="hair_01")
    put_schema(client, "glb-new", {"body": ["body_01"]})
    put_schema(client, "glb-new")
    assert assemble(client, "glb-new", models={"body": ["body_01"]}).status_code == 200
    lost = assemble(client, "glb-new", models={"hair": ["hair_01"]})
    assert error(lost) == (422, 12, "invalid model ID in request")


def test_materials_named_skin_get_the_colour_of_the_skin(client: httpx.Client) -> None:
    file = read_glb(MODEL)
    coat = {**file.tree, "materials": [{"name": "coat"}]}
    put_schema(client, "glb-skin", {"body": ["body_01"]})
    put_model(client, "glb-skin")
    answer = assemble(
        client,
        "glb-skin",
        models={"body": ["body_01"]},
        custom_models=[MODEL, pack_glb(Glb(coat, file.binary))],
    )
    colors = [
        material.get("pbrMetallicRoughness", {}).get("baseColorFactor")
        for material in unpacked(answer.content)[0]["materials"]
        if material["name"] in {"skin", "coat"}
    ]
    # 965e53 in linear light.
    expected = [0.304987, 0.111932, 0.086500, 1.0]
    assert colors[0] == colors[1] == pytest.approx(expected, abs=1e-5)
    assert colors[2] is None


def test_the_whole_response_of_face_reconstruction_and_its_result_are_accepted(client: httpx.Client) -> None:
    put_schema(client, "glb-config", {})
    answers = [
        assemble(client, "glb-config", head_config=json.dumps(config).encode())
        for config in (HEAD, HEAD["result"])
    ]
    assert answers[0].status_code == 200
    assert answers[0].content == answers[1].content


def changed(**members: Any) -> bytes:
    head = json.loads(json.dumps(HEAD))
    for name, value in members.items():
        holder = {"blendShapes": "face", "color": "skin"}.get(name)
        (head["result"] if holder is None else head["result"][holder])[name] = value
    return json.dumps(head).encode()


@pytest.mark.parametrize(
    ("config", "code", "message"),
    [
        (b"", 9, "invalid head config"),
        (b"no JSON", 9, "invalid head config"),
        (b"[]", 9, "invalid head config"),
        (b"{}", 9, "invalid head config"),
        (b'{"result": []}', 9, "invalid head config"),
        (changed(skin="#ffffff"), 9, "invalid head config"),
        (changed(blendShapes=[0.0] * 79), 17, "invalid json fields in head config"),
        (changed(blendShapes=[0.0] * 79 + [float("nan")]), 17, "invalid json fields in head config"),
        (changed(blendShapes=[0.0] * 79 + [1e300]), 17, "invalid json fields in head config"),
        (changed(blendShapes=[0.0] * 79 + [True]), 17, "invalid json fields in head config"),
        (changed(blendShapes=[0.0] * 79 + [10**400]), 17, "invalid json fields in head config"),
        (changed(blendShapes=None), 17, "invalid json fields in head config"),
        (changed(color="red"), 17, "invalid json fields in head config"),
        (changed(color="#12345"), 17, "invalid json fields in head config"),
    ],
)
def test_a_bad_head_config_is_refused(client: httpx.Client, config: bytes, code: int, message: str) -> None:
    put_schema(client, "glb-bad-head", {})
    assert error(assemble(client, "glb-bad-head", head_config=config)) == (422, code, message)


@pytest.mark.parametrize(
    ("models", "code", "message"),
    [
        (b"", 10, "invalid models config"),
        (b"[]", 10, "invalid models config"),
        (b'{"hair": "hair_01"}', 10, "invalid models config"),
        (b'{"hair": []}', 10, "invalid models config"),
        (b'{"hair": ["hair_01", "hair_02"]}', 10, "invalid models config"),
        (b'{"hair": [1]}', 10, "invalid models config"),
        (b'{"legs": ["legs_01"]}', 11, "invalid model type in request"),
        (b'{"hair": ["hair_03"]}', 12, "invalid model ID in request"),
        (b'{"hair": ["hair_01"]}', 12, "invalid model ID in request"),
    ],
)
def test_bad_models_are_refused(client: httpx.Client, models: bytes, code: int, message: str) -> None:
    put_schema(client, "glb-bad-models")
    assert error(assemble(client, "glb-bad-models", models_congig=models)) == (422, code, message)


@pytest.mark.parametrize("texture", [b"", b"no picture", png()[:-30], png(8, "GIF")])
def test_a_texture_that_is_no_picture_is_refused(client: httpx.Client, texture: bytes) -> None:
    put_schema(client, "glb-bad-uv", {})
    assert error(assemble(client, "glb-bad-uv", head_uv=texture)) == (422, 13, "invalid head_uv file")


@pytest.mark.parametrize("model", [b"", b"no model", MODEL[:-1]])
def test_a_bad_custom_model_is_refused(client: httpx.Client, model: bytes) -> None:
    put_schema(client, "glb-bad-custom", {})
    answer = assemble(client, "glb-bad-custom", custom_models=[MODEL, model])
    assert error(answer) == (422, 16, "invalid file in custom_models")


@pytest.fixture(scope="module")
def narrow(workers: WorkerPool) -> Iterator[TestClient]:
    """A client of an emulator with small limits."""
    limits = {
        "head_uv_bytes": 5000,
        "custom_model_bytes": 3000,
        "model_bytes": 2000,
        "assemble_bytes": 20_000,
    }
    with TestClient(create_app(Settings(vendors={"metahuman": limits}), workers=workers)) as client:
        yield client


def test_files_must_be_smaller_than_their_limits(narrow: TestClient) -> None:
    texture = png()
    put_schema(narrow, "t")
    for size, expected in ((4999, 200), (5000, 14)):
        padded = texture + bytes(size - len(texture))
        answer = assemble(narrow, "t", head_uv=padded)
        assert (answer.status_code if expected == 200 else error(answer)[1]) == expected
    assert assemble(narrow, "t", custom_models=[MODEL]).status_code == 200
    large = assemble(narrow, "t", custom_models=[MODEL, bytes(3000)])
    assert error(large) == (422, 15, "model file size in custom_models must be less than 50 Mb")
    assert error(put_model(narrow, "t", MODEL + bytes(2000 - len(MODEL)))) == (422, 7, "model load fail")


def test_a_request_that_is_too_long_is_refused(narrow: TestClient) -> None:
    put_schema(narrow, "t")
    assert error(assemble(narrow, "t", custom_models=[bytes(2500)] * 10))[1] == 15
    assert error(put_schema(narrow, "t", bytes(1024 * 1024)))[1] == 21
    assert error(put_model(narrow, "t", bytes(1024 * 1024 + 2000)))[1] == 7
    for path in ("schema", "status"):
        answer = narrow.post(f"{GLB}/{path}", content=bytes(1024 * 1024 + 1))
        assert error(answer) == (422, 18, "internal error")


def test_the_checks_of_assembling_have_an_order(client: httpx.Client) -> None:
    """The order is: schema, head config, models, size of the texture, custom models, texture."""
    files: dict[str, Any] = {
        "head_config": b"[]",
        "models_congig": b"[]",
        "head_uv": bytes(2 * 1024 * 1024),
        "custom_models": [b"-"],
    }
    codes = [error(assemble(client, "glb-checks", **files))[1]]
    put_schema(client, "glb-checks")
    for better in (
        {},
        {"head_config": changed(color="red")},
        {"head_config": changed()},
        {"models_congig": b'{"legs": ["a"]}'},
        {"models_congig": b'{"hair": ["hair_01"]}'},
        {"models_congig": b"{}"},
        {"head_uv": b"no picture"},
        {"head_uv": png()},
    ):
        files |= better
        codes.append(error(assemble(client, "glb-checks", **files))[1])
    assert codes == [2, 9, 17, 10, 11, 12, 14, 13, 16]


@pytest.mark.parametrize("path", ["status", "token_status"])
def test_the_state_of_a_token_is_served_under_both_names(client: httpx.Client, path: str) -> None:
    answer = client.post(f"{GLB}/{path}", data={"token": "t"})
    assert (answer.status_code, answer.json()) == (200, {"result": {"status": "ok"}})


def test_every_operation_checks_the_token_first(workers: WorkerPool) -> None:
    states = {
        "other": (CredentialState.OTHER_REGION, (422, 0, "unregistered token")),
        "revoked": (CredentialState.REVOKED, (422, 1, "authorization fail")),
        "poor": (CredentialState.NO_BALANCE, (422, 1, "authorization fail")),
    }
    listed = {token: state for token, (state, _) in states.items()}
    with TestClient(create_app(Settings(credentials=listed), workers=workers)) as client:
        for token, (_, expected) in states.items():
            for answer in (
                put_schema(client, token, b""),
                get_schema(client, token),
                put_model(client, token, b""),
                assemble(client, token, head_config=b""),
                client.post(f"{GLB}/status", data={"token": token}),
            ):
                assert error(answer) == expected


def test_a_token_out_of_credits_is_refused(client: httpx.Client) -> None:
    mine = {"credential": "glb-poor"}
    assert client.post("/_emulator/scenarios/out-of-credits", params=mine).is_success
    assert error(get_schema(client, "glb-poor")) == (422, 1, "authorization fail")
    assert client.delete("/_emulator/scenarios/out-of-credits", params=mine).is_success


def test_missing_and_wrong_fields_are_answered_as_fastapi_does(client: httpx.Client) -> None:
    def missing(*names: str) -> dict[str, Any]:
        return {
            "detail": [
                {"loc": ["body", name], "msg": "field required", "type": "value_error.missing"}
                for name in names
            ]
        }

    assert client.post(f"{GLB}/status", data={"x": "y"}).json() == missing("token")
    assert client.put(f"{GLB}/schema", data={"token": "t"}).json() == missing("schema")
    fields = ("sha256", "data_type", "data_id", "data")
    assert client.put(f"{GLB}/glb", data={"token": "t"}).json() == missing(*fields)
    answer = client.post(f"{GLB}/assemble", data={"token": "t"})
    assert answer.json() == missing("head_uv", "head_config", "models_congig")
    answer = client.put(f"{GLB}/schema", data={"token": "t", "schema": "{}"})
    wrong = {
        "loc": ["body", "schema"],
        "msg": "Expected UploadFile, received: <class 'str'>",
        "type": "value_error",
    }
    assert (answer.status_code, answer.json()) == (422, {"detail": [wrong]})


def test_a_reset_deletes_the_schema_and_the_models_of_the_token(client: httpx.Client) -> None:
    for token in ("glb-reset", "glb-kept"):
        put_schema(client, token)
        put_model(client, token)
    assert client.post("/_emulator/reset", json={"credential": "glb-reset"}).is_success
    assert error(get_schema(client, "glb-reset")) == (422, 2, "schema not loaded")
    put_schema(client, "glb-reset")
    assert error(assemble(client, "glb-reset", models={"body": ["body_01"]}))[1] == 12
    assert assemble(client, "glb-kept", models={"body": ["body_01"]}).status_code == 200


def test_a_snapshot_and_the_data_folder_contain_schemas_and_models(
    workers: WorkerPool, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    chosen = {"body": ["body_01"]}
    with TestClient(create_app(settings, workers=workers)) as client:
        put_schema(client, "t")
        put_model(client, "t")
        before = assemble(client, "t", models=chosen).content
        snapshot = client.get("/_emulator/snapshot").content
    with TestClient(create_app(settings, workers=workers)) as client:
        assert assemble(client, "t", models=chosen).content == before
    with TestClient(create_app(Settings(), workers=workers)) as client:
        client.put("/_emulator/snapshot", content=snapshot).raise_for_status()
        assert get_schema(client, "t").json() == {"result": SCHEMA}
        assert assemble(client, "t", models=chosen).content == before


def test_only_assembling_is_billed(client: httpx.Client) -> None:
    put_schema(client, "glb-billed")
    put_model(client, "glb-billed")
    assemble(client, "glb-billed", models={"body": ["body_01"]})
    assemble(client, "glb-billed", models={"body": ["body_02"]})
    costs = client.get("/_emulator/costs", params={"credential": "glb-billed"}).json()
    assert costs["operations"] == [
        {"vendor": "metahuman", "operation": "assemble", "calls": 1, "units": 0, "amounts": {}}
    ]


def test_ignored_input_causes_warnings(client: httpx.Client) -> None:
    put_schema(client, "glb-warned", {})
    assemble(client, "glb-warned", fields={"pose": "t"})
    (call,) = client.get(
        "/_emulator/calls", params={"credential": "glb-warned", "operation": "assemble"}
    ).json()["calls"]
    assert call["warnings"] == [{"code": "field-dropped", "detail": "unknown field pose"}]


def test_a_texture_of_another_type_than_declared_causes_a_warning(client: httpx.Client) -> None:
    put_schema(client, "glb-type", {})
    files: dict[str, Any] = {
        "head_config": HEAD_FILE,
        "models_congig": b"{}",
        "head_uv": ("a.jpg", png(), "image/jpeg"),
    }
    client.post(f"{GLB}/assemble", data={"token": "glb-type"}, files=files)
    calls = client.get("/_emulator/calls", params={"credential": "glb-type"}).json()["calls"]
    assert calls[-1]["warnings"] == [
        {"code": "upload-content-type-mismatch", "detail": "head_uv: declared image/jpeg, sent image/png"}
    ]


def test_a_picture_fault_applies_to_the_texture(client: httpx.Client) -> None:
    mine = {"credential": "glb-fault"}
    put_schema(client, "glb-fault", {})
    rule = {"match": {"operation": "assemble"}, "effect": "picture-truncated", "count": 1}
    assert client.post("/_emulator/faults", params=mine, json=rule).is_success
    assert error(assemble(client, "glb-fault", head_uv=png(64))) == (422, 13, "invalid head_uv file")
    assert assemble(client, "glb-fault", head_uv=png(64)).status_code == 200


def test_the_head_of_a_response_is_the_head_of_face_reconstruction(
    client: httpx.Client, result: dict[str, Any], face_jpeg: bytes
) -> None:
    put_schema(client, "glb-recon", {})
    texture = client.get(result["face"]["textureUrl"]).content
    answer = assemble(client, "glb-recon", head_uv=texture, head_config=json.dumps(result).encode())
    tree, binary = unpacked(answer.content)
    assert view(tree, binary, tree["images"][0]["bufferView"]) == texture
    skin, mouth = (
        100.0 * values(tree, binary, each["attributes"]["POSITION"])
        for each in tree["meshes"][0]["primitives"][:2]
    )
    # The same fit as in face reconstruction, from the photo.
    with PillowImage.open(io.BytesIO(face_jpeg)) as opened:
        found = detector().detect(np.asarray(opened.convert("RGB")), crops=CROPS)[0]
    face = unfolded(fit_head(found.landmarks).mesh.vertices)
    expected = complete_head(face)
    data = complete_head_data()
    triangles, inside = data.mesh.triangles[data.part_triangles["skin"]], skin_layout().mouth
    np.testing.assert_allclose(skin, expected.mesh.vertices[np.unique(triangles[~inside])], atol=1e-4)
    np.testing.assert_allclose(mouth, expected.mesh.vertices[np.unique(triangles[inside])], atol=1e-4)
    # The 468 landmarks of the head with the texture are on the assembled head.
    off = np.linalg.norm(expected.landmarks() - face, axis=1)
    assert np.median(off) < 0.02
    assert off.max() < 0.18
