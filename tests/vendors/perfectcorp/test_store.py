"""What can be reached only with a hand in the emulator: limits, refusals of the store, defects."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from PIL import Image as PillowImage

from emulator.vendors.perfectcorp import routes, store
from emulator.vendors.perfectcorp.jobs import Engine
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.vendors.perfectcorp.uploads import BUCKET

KEY = "sk-test"
TASK = "/s2s/v2.0/task/face-reshape"

# Strict enough for the sample pictures to break every limit.
STRICT = {"file_bytes": 300_000, "longest_side": 700, "face_fraction": 0.6, "face_angle_deg": 89.0}


def enlarged(photo: bytes, side: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(photo)).resize((side, side)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_limits_of_the_picture_are_the_engines_errors(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    strict = emulate(**STRICT)
    assert strict.run(face_jpeg)["error"] == "error_pose"
    assert strict.run(enlarged(face_jpeg, 701))["error"] == "exceed_max_filesize"


def test_a_task_that_fails_unexpectedly_says_so(
    emulate: Callable[..., Any], face_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Engine, "_read_picture", fail)
    data = emulate().run(face_jpeg)
    assert (data["error"], data["task_status"]) == ("unknown_internal_error", "error")


def test_a_defect_is_answered_in_the_envelope(
    emulate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(routes, "check_features", fail)
    answer = emulate().create("unknown")
    assert (answer.status_code, answer.json()) == (
        500,
        {"status": 500, "error": "Server Error", "error_code": "unknown_internal_error"},
    )


def refusal(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/xml"
    error = ET.fromstring(answer.content)  # noqa: S314 - our own answer
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
    assert refusal(emulator.anonymous.delete(url)) == (405, "MethodNotAllowed")
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


def test_the_documented_limits_are_the_defaults() -> None:
    settings = PerfectCorpSettings()
    assert (settings.file_bytes, settings.longest_side) == (10 * 1024 * 1024, 4096)
    assert (settings.face_fraction, settings.face_angle_deg) == (1 / 20, 30)


def test_an_object_has_an_owner_from_its_url_on(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    services = emulator.client.app.state.services

    def owner_of(url: str) -> str | None:
        key = httpx.URL(url).path.removeprefix(f"/{BUCKET}/")
        return emulator.client.portal.call(store.owner_of_object, services, key)  # type: ignore[no-any-return]

    request = emulator.register(len(face_jpeg)).json()["data"]["files"][0]["requests"][0]
    assert owner_of(request["url"]) == KEY
    result = emulator.run(face_jpeg)["results"]["url"]
    assert owner_of(result) == KEY
    assert owner_of(f"/{BUCKET}/ttl30/unknown.jpg") is None
    stored = emulator.client.portal.call(services.blobs.keys)
    assert [found.scope for found in stored] == [KEY, KEY]
