from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.drift.comparison import differences
from emulator.drift.exchange import play
from emulator.drift.run import Compared
from emulator.drift.samples import read_samples, write_sample

Compare = Callable[..., dict[str, Compared]]
Listed = tuple[int, str, str, Any, Any]

JPEG_512 = {"$file": "jpeg", "width": 512, "height": 512}
JPEG_1024 = {"$file": "jpeg", "width": 1024, "height": 1024}
NOT_FOUND = "The requested resource was not found."


def listed(one: Compared) -> list[Listed]:
    """Return the differences as (step, what, place, real, emulated). Omit sizes and digests of files."""
    return [
        (
            finding.step,
            finding.difference.what,
            finding.difference.place,
            _undigested(finding.difference.expected),
            _undigested(finding.difference.found),
        )
        for finding in one.findings
    ]


def _undigested(value: Any) -> Any:
    if isinstance(value, dict) and "$file" in value:
        return {name: item for name, item in value.items() if name not in {"bytes", "sha256"}}
    return value


def differing(found: dict[str, Compared]) -> dict[str, list[Listed]]:
    return {name: listed(one) for name, one in found.items() if one.findings}


@pytest.fixture(scope="module")
def apart(different_service: Any, compared: Compare) -> Callable[[str], dict[str, Compared]]:
    """Return a cached function that compares ``different_service`` for a vendor."""
    return functools.cache(functools.partial(compared, different_service))


@pytest.mark.parametrize("vendor", ["faceplusplus", "metahuman", "perfectcorp"])
def test_equal_services_do_not_differ(real: Any, compared: Compare, vendor: str) -> None:
    found = compared(real, vendor)
    assert differing(found) == {}
    assert all(one.recorded is not None for one in found.values())
    assert sum(one.calls for one in found.values()) == len(real.bent.calls)


@pytest.mark.parametrize(
    ("vendor", "expected"),
    [
        (
            "faceplusplus",
            {
                "facialfeatures-nobody": [
                    (0, "status", "status", 412, 400),
                    (0, "value", "body.error_message", "NO FACE in image_file", "NO_FACE_FOUND: image_file"),
                ],
                "no-face": [
                    (0, "status", "status", 412, 400),
                    (
                        0,
                        "value",
                        "body.error_message",
                        "NO FACE in image_file_1",
                        "NO_FACE_FOUND: image_file_1",
                    ),
                ],
                "success": [(0, "file", "body.texture_img", JPEG_512, JPEG_1024)],
                "success-mesh-only": [
                    (0, "missing member", "body.mtl_file", None, None),
                    (0, "missing member", "body.texture_img", None, None),
                ],
                "success-three-images": [
                    (0, "missing member", "body.mtl_file", None, None),
                    (0, "missing member", "body.texture_img", None, None),
                ],
            },
        ),
        (
            "metahuman",
            {"face-not-found": [(0, "value", "body.error.message", "no {face}", "face not found")]},
        ),
        (
            "perfectcorp",
            {
                "delete": [
                    (1, "value", "body.data.error", "INPUT_MAIN_IMAGE_EMPTY", "error_download_image"),
                    (3, "status", "status", 404, 400),
                    (3, "value", "body.status", 404, 400),
                    (3, "value", "body.error", "Task not found", "Invalid task ID"),
                ],
                "never-uploaded": [
                    (1, "status", "status", 404, 500),
                    (1, "value", "body.status", 404, 500),
                    (1, "value", "body.error", NOT_FOUND, "Server Error"),
                    (1, "value", "body.error_code", "NotFound", "unknown_internal_error"),
                ],
                "no-face": [(3, "value", "body.data.error", "PHOTO_DETECTION_FAIL", "error_no_face")],
                "unknown": [
                    (2, "status", "status", 404, 400),
                    (2, "value", "body.status", 404, 400),
                    (2, "value", "body.error", "Task not found", "Invalid task ID"),
                    (3, "status", "status", 400, 403),
                ],
            },
        ),
    ],
)
def test_drift_finds_exactly_the_differences_that_settings_cause(
    apart: Compare, vendor: str, expected: dict[str, list[Listed]]
) -> None:
    assert differing(apart(vendor)) == expected


def _drop(answer: Any) -> None:
    answer.change_json(lambda body: body["result"]["face"].pop("blinkCorrectionCoeff"))


def _add(answer: Any) -> None:
    answer.change_json(lambda body: body["result"].update(age=33))


def _retype(answer: Any) -> None:
    answer.change_json(lambda body: body["result"]["face"].update(blinkCorrectionCoeff="0.9"))


def _shorten(answer: Any) -> None:
    answer.change_json(lambda body: body["result"]["face"]["blendShapes"].pop())


def _empty(answer: Any) -> None:
    answer.change_json(lambda body: body["result"].update(skin=None))


def _reorder(answer: Any) -> None:
    answer.change_json(lambda body: body["result"].update(face=body["result"].pop("face")))


def _relist(answer: Any) -> None:
    answer.change_json(lambda body: body["result"].update(accessories=["hat", "glasses"], gender="Female"))


def _add_header(answer: Any) -> None:
    answer.headers += [(b"x-quota", b"17"), (b"Via", b"1.1 edge"), (b"date", b"today")]


def _say_charset(answer: Any) -> None:
    answer.headers = [(b"content-type", b"application/JSON; charset=utf-8")]


@pytest.mark.parametrize(
    ("bend", "expected"),
    [
        (_drop, [("extra member", "body.result.face.blinkCorrectionCoeff", None, {"$type": "number"})]),
        (_add, [("missing member", "body.result.age", {"$type": "integer"}, None)]),
        (_retype, [("JSON type", "body.result.face.blinkCorrectionCoeff", "0.9", {"$type": "number"})]),
        (_shorten, [("length", "body.result.face.blendShapes", 79, 80)]),
        (_empty, [("JSON type", "body.result.skin", None, {"color": {"$matches": "#[0-9a-f]{6}"}})]),
        (
            _reorder,
            [
                (
                    "order",
                    "body.result",
                    "hair, skin, accessories, gender, face",
                    "face, hair, skin, accessories, gender",
                )
            ],
        ),
        (_relist, []),
        (_add_header, [("header", "headers", "x-quota", None)]),
        (_say_charset, []),
    ],
)
def test_every_kind_of_difference_is_reported_exactly(
    real: Any, compared: Compare, bend: Callable[[Any], None], expected: list[tuple[str, str, Any, Any]]
) -> None:
    real.bent.bend = lambda answer: bend(answer) if answer.path == "/face_recon/run_pipeline" else None
    found = compared(real, "metahuman", "success")["success"]
    assert listed(found) == [(0, *one) for one in expected]


def test_a_different_media_type_or_file_is_reported(real: Any, compared: Compare) -> None:
    def bend(answer: Any) -> None:
        if answer.path.startswith("/static/"):
            answer.headers = [(b"content-type", b"image/jpeg"), (b"etag", b'"1"')]
            answer.body = b"\xff\xd8\xff no picture"

    real.bent.bend = bend
    assert listed(compared(real, "metahuman", "success")["success"]) == [
        (1, "media type", "type", "image/jpeg", "image/png"),
        (1, "header", "headers", None, "cache-control"),
        (1, "file", "body", {"$file": "damaged jpeg"}, {"$file": "png", "width": 768, "height": 768}),
    ]


def test_a_page_instead_of_json_is_reported_and_ends_the_sample(real: Any, compared: Compare) -> None:
    def bend(answer: Any) -> None:
        answer.status, answer.body = 502, b"<html>Bad Gateway</html>"
        answer.headers = [(b"content-type", b"text/html")]

    real.bent.bend = bend
    found = compared(real, "perfectcorp", "reshape")["reshape"]
    assert [one[1:3] for one in listed(found)] == [
        ("status", "status"),
        ("media type", "type"),
        ("header", "headers"),
        ("JSON type", "body"),
        ("end", ""),
    ]
    missing = "body.data.files.0.file_id is missing, but later requests need it"
    assert listed(found)[-1][3:] == (missing, "continues")
    assert (found.calls, found.recorded) == (1, None)


def test_each_side_uses_its_own_ids_and_the_real_service_gets_the_real_key(
    real: Any, compared: Compare
) -> None:
    assert differing(compared(real, "perfectcorp", "reshape")) == {}
    paths = [call["path"] for call in real.bent.calls]
    keys = {
        call["headers"].get(b"authorization") for call in real.bent.calls if call["path"].startswith("/s2s")
    }
    assert keys == {b"Bearer real-bearer-of-mine"}
    # Requests to presigned URLs carry a signature and no key.
    assert {
        call["headers"].get(b"authorization") for call in real.bent.calls if "/yce-us" in call["path"]
    } == {None}
    assert paths[0] == "/s2s/v2.0/file"
    assert paths[1].startswith("/yce-us/ttl30/")
    assert paths[-1].startswith("/yce-us/ttl30/results/")


def test_the_printed_wordings_are_those_of_the_service(apart: Compare, corrector: Callable[..., Any]) -> None:
    for vendor, errors in {
        "faceplusplus": {"NO_FACE_FOUND": {"status": 412, "text": "NO FACE in {param}"}},
        "metahuman": {"FACE_NOT_FOUND": {"text": "no {{face}}"}},
        "perfectcorp": {
            "InvalidTaskId": {"status": 404, "text": "Task not found"},
            "NotSigned": {"status": 400},
        },
    }.items():
        findings = [finding for one in apart(vendor).values() for finding in one.findings]
        printed = corrector(vendor).together([finding.correction for finding in findings])
        variable, _, value = printed.partition("=")
        assert variable == f"FACE_EMULATOR_VENDORS__{vendor.upper()}__ERRORS"
        assert json.loads(value.strip("'")) == errors


def test_recorded_samples_hold_no_account_data_and_match_the_emulator(
    real: Any, compared: Compare, emulated_side: Any, tmp_path: Path
) -> None:
    found = {
        **compared(real, "perfectcorp", "reshape", "never-uploaded", "no-face", "units", "unknown"),
        **compared(real, "faceplusplus", "success", "missing-credentials"),
        **compared(real, "metahuman", "success"),
    }
    for name, one in found.items():
        assert one.recorded is not None
        text = write_sample(tmp_path, name, one.recorded).read_text()
        for secret in ("of-mine", "Signature=", "AWS4", "real-"):
            assert secret not in text, name
    samples = read_samples(tmp_path)
    assert samples.keys() == found.keys()
    for sample in samples.values():
        for step, answer in zip(sample.steps, play(sample, emulated_side).answers, strict=True):
            assert list(differences(step.response, answer)) == []
    picture = samples["reshape"].steps[4].response["body"]
    assert picture.keys() == {"$file", "width", "height", "bytes", "sha256"}
    grants = samples["units"].steps[0].response["body"]["results"]["$each"]
    assert grants["amount"] == {"$type": "integer or null"}
    files = samples["reshape"].steps[0].response["body"]["data"]["files"][0]
    assert files["file_id"].keys() == {"$matches"}
    assert files["requests"][0]["url"]["$url"] == ".jpg"
    # Error texts are part of the contract, so they are not masked.
    assert samples["missing-credentials"].steps[0].response["body"] == {
        "error_message": "MISSING_ARGUMENTS: api_key"
    }
