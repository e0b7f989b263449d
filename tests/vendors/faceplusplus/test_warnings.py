"""Warnings in the journal about calls of Face++."""

from __future__ import annotations

import base64

import httpx

PATH = "/facepp/v1/3dface"


def warnings(client: httpx.Client, key: str) -> list[tuple[str, str]]:
    calls = client.get("/_emulator/calls", params={"credential": key}).json()["calls"]
    return [(warning["code"], warning["detail"]) for warning in calls[-1]["warnings"]]


def test_unknown_and_ignored_fields(client: httpx.Client, face_jpeg: bytes) -> None:
    key = "warned-of-fields"
    data = {"api_key": key, "api_secret": "s", "return_gesture": "1", "mtl": "1"}
    files = {"image_file_1": face_jpeg}
    both = {**data, "image_base64_1": base64.b64encode(face_jpeg).decode()}
    assert client.post(PATH, data=both, files=files).status_code == 200
    assert warnings(client, key) == [
        ("field-dropped", "unknown field return_gesture"),
        ("field-dropped", "image_base64_1 is ignored because image_file_1 was sent"),
    ]


def test_credentials_in_the_query(client: httpx.Client) -> None:
    key = "warned-of-query"
    client.post(PATH, params={"api_key": key, "api_secret": "s"}, data={"mtl": "1"})
    assert warnings(client, key) == [
        ("credential-in-query", "api_key"),
        ("credential-in-query", "api_secret"),
    ]
    (call,) = client.get(
        "/_emulator/calls", params={"credential": key, "warning": warnings(client, key)[0][0]}
    ).json()["calls"]
    assert key not in str(call)


def test_a_picture_of_another_type_than_declared(client: httpx.Client, face_jpeg: bytes) -> None:
    key = "warned-of-type"
    data = {"api_key": key, "api_secret": "s"}
    for said, expected in (
        (
            "image/png",
            [("upload-content-type-mismatch", "image_file_1: declared image/png, sent image/jpeg")],
        ),
        ("application/octet-stream", []),
    ):
        files = {"image_file_1": ("a", face_jpeg, said)}
        assert client.post(PATH, data=data, files=files).status_code == 200
        assert warnings(client, key) == expected


def test_a_form_that_many_servers_read_differently(client: httpx.Client, face_jpeg: bytes) -> None:
    key = "warned-of-form"
    keys = "".join(
        f'--b\nContent-Disposition: form-data; name="{name}"\n\n{value}\n'
        for name, value in {"api_key": key, "api_secret": "s"}.items()
    )
    head = "--b\nContent-Disposition: form-data; name=image_file_1; filename*=UTF-8''a\n"
    encoding = "Content-Transfer-Encoding: base64\n\n"
    body = f"{keys}{head}{encoding}".encode() + base64.encodebytes(face_jpeg) + b"\n--b--"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert client.post(PATH, content=body, headers=headers).status_code == 200
    assert warnings(client, key) == [
        ("form-not-portable", "lines end in LF instead of CRLF"),
        ("form-not-portable", "image_file_1: Content-Transfer-Encoding is base64"),
        ("form-not-portable", "image_file_1: filename* instead of filename"),
    ]
