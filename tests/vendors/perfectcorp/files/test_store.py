"""Objects in the store, and the errors of the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from emulator.vendors.perfectcorp.files import store
from emulator.vendors.perfectcorp.files.presigned import BUCKET

KEY = "sk-test"


def refusal(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/xml"
    error = ET.fromstring(answer.content)  # noqa: S314 - the emulator's own response
    assert [child.tag for child in error] == ["Code", "Message", "RequestId", "HostId"]
    assert error.findtext("RequestId") == answer.headers["x-request-id"]
    return answer.status_code, str(error.findtext("Code"))


def test_the_store_refuses_in_xml(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    request = emulator.register(len(face_jpeg)).json()["data"]["files"][0]["requests"][0]
    url, headers = request["url"], request["headers"]
    path = url.partition("?")[0]
    put = emulator.anonymous.put
    assert refusal(put(url, headers={**headers, "Authorization": "Bearer x"}, content=face_jpeg)) == (
        400,
        "InvalidArgument",
    )
    assert refusal(put(path, headers=headers, content=face_jpeg)) == (403, "AccessDenied")
    assert refusal(put(url, headers={"Content-Type": "image/png"}, content=face_jpeg)) == (
        403,
        "SignatureDoesNotMatch",
    )
    assert refusal(put(url, headers=headers | {"Content-Length": "5"}, content=b"short")) == (
        403,
        "SignatureDoesNotMatch",
    )
    chunked = {"Content-Type": headers["Content-Type"]}
    assert refusal(put(url, headers=chunked, content=iter([face_jpeg]))) == (411, "MissingContentLength")
    wrong = emulator.anonymous.delete(url)
    assert refusal(wrong) == (405, "MethodNotAllowed")
    assert wrong.headers["allow"] == "GET, PUT"
    accepted = put(url, headers=headers, content=face_jpeg)
    assert (accepted.status_code, accepted.content) == (200, b"")
    assert len(accepted.headers["etag"]) == 34


def test_a_defect_of_the_store_is_told_in_xml(
    emulate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store, "verify", fail)
    assert refusal(emulate().anonymous.get("/yce-us/ttl30/a.jpg")) == (500, "InternalError")


def test_an_object_has_an_owner_from_its_url_on(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    world = emulator.client.app.state.world

    def owner_of(url: str) -> str | None:
        key = httpx.URL(url).path.removeprefix(f"/{BUCKET}/")
        return emulator.client.portal.call(store.credential_of_object, world, key)  # type: ignore[no-any-return]

    request = emulator.register(len(face_jpeg)).json()["data"]["files"][0]["requests"][0]
    assert owner_of(request["url"]) == KEY
    result = emulator.run(face_jpeg)["results"]["url"]
    assert owner_of(result) == KEY
    assert owner_of(f"/{BUCKET}/ttl30/unknown.jpg") is None
    stored = emulator.client.portal.call(world.blobs.keys)
    assert [found.credential for found in stored] == [KEY, KEY]
