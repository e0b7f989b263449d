from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emulator.drift.comparison import Difference
from emulator.drift.correction import Correction
from emulator.drift.samples import Step
from emulator.world.error_catalogue import ErrorOverride

STEP = Step.model_validate({"request": {"method": "GET", "path": "/"}, "response": {}})
GATEWAY = {"error_message": "MISSING_ARGUMENTS: api_key"}


def answer(status: int, body: Any) -> dict[str, Any]:
    return {"status": status, "type": "application/json", "headers": [], "body": body}


UNKNOWN = answer(410, {"message": "words that no catalogue has"})


def test_an_error_is_recognised_by_its_text_and_keeps_its_placeholders(corrector: Callable[..., Any]) -> None:
    told = answer(400, {"error_message": "NO_FACE_FOUND: image_file_1"})
    difference = Difference(
        "value", "body.error_message", "Nobody {here}: image_file_1", "NO_FACE_FOUND: image_file_1"
    )
    found = corrector("faceplusplus").correct(difference, STEP, UNKNOWN, told)
    assert found == Correction(
        "set FACE_EMULATOR_VENDORS__FACEPLUSPLUS__ERRORS; NO_FACE_FOUND is CONFIRMED: "
        "https://console.faceplusplus.com/documents/ 3D Face, common errors",
        "NO_FACE_FOUND",
        ErrorOverride(text="Nobody {{here}}: {param}"),
    )


def test_an_error_is_recognised_by_its_configured_text(corrector: Callable[..., Any]) -> None:
    made = corrector("metahuman", errors={"FACE_NOT_FOUND": {"text": "nobody", "status": 404}})
    told = answer(404, {"error": {"code": 4, "message": "nobody"}})
    status = made.correct(Difference("status", "status", 410, 404), STEP, UNKNOWN, told)
    assert (status.error, status.override) == ("FACE_NOT_FOUND", ErrorOverride(status=410))
    # The printed setting includes the old text, because it replaces the old setting.
    assert made.together([status]) == (
        """FACE_EMULATOR_VENDORS__METAHUMAN__ERRORS='{"FACE_NOT_FOUND": {"status": 410, "text": "nobody"}}'"""
    )


def test_a_quote_is_escaped_for_the_shell(corrector: Callable[..., Any]) -> None:
    made = corrector("metahuman")
    difference = Difference("value", "body.error.message", "can't see", "face not found")
    found = made.correct(
        difference, STEP, UNKNOWN, answer(422, {"error": {"code": 4, "message": "face not found"}})
    )
    assert made.together([found]).endswith("""{"text": "can'\\''t see"}}'""")


@pytest.mark.parametrize(
    ("vendor", "difference", "told", "advice"),
    [
        # An error of the gateway and one of the API have the same text.
        (
            "faceplusplus",
            Difference("status", "status", 401, 400),
            answer(400, GATEWAY),
            "set FACE_EMULATOR_VENDORS__FACEPLUSPLUS__ERRORS for one of MISSING_CREDENTIAL, MISSING_",
        ),
        # The validator has many sentences, so one text for all would be wrong.
        (
            "perfectcorp",
            Difference("value", "body.error", "jaw is too big.", "jaw is above the allowed maximum."),
            answer(400, {"error": "jaw is above the allowed maximum.", "error_code": "InvalidParameters"}),
            "change the text of InvalidParameters in emulator/vendors/perfectcorp; InvalidParameters is ",
        ),
        # A setting can change an error's text, but not its code.
        (
            "perfectcorp",
            Difference("value", "body.error_code", "NoTask", "InvalidTaskId"),
            answer(400, {"error": "Invalid task ID", "error_code": "InvalidTaskId"}),
            "no setting changes this; change the code in emulator/vendors/perfectcorp, and see its ",
        ),
        # A pattern gives no exact text to set.
        (
            "metahuman",
            Difference("value", "body.error.message", {"$matches": r"no face in \d{9}"}, "face not found"),
            answer(422, {"error": {"code": 4, "message": "face not found"}}),
            "change the text of FACE_NOT_FOUND in emulator/vendors/metahuman; FACE_NOT_FOUND is CONFIRMED",
        ),
        (
            "metahuman",
            Difference("missing member", "body.age", {"$type": "integer"}, None),
            answer(200, {}),
            "no setting changes this; change the code in emulator/vendors/metahuman, and see its ",
        ),
    ],
)
def test_differences_that_no_wording_corrects_get_other_advice(
    corrector: Callable[..., Any], vendor: str, difference: Difference, told: dict[str, Any], advice: str
) -> None:
    made = corrector(vendor)
    found = made.correct(difference, STEP, UNKNOWN, told)
    assert (found.error, found.override, found.advice.startswith(advice)) == (None, ErrorOverride(), True)
    assert made.together([found]) is None


def test_a_sample_may_name_the_setting_to_change(corrector: Callable[..., Any]) -> None:
    step = STEP.model_copy(update={"settings": {"body.data.error": "engine_codes"}})
    difference = Difference("value", "body.data.error", "PHOTO_DETECTION_FAIL", "error_no_face")
    found = corrector("perfectcorp").correct(difference, step, UNKNOWN, answer(200, {}))
    assert found.advice == (
        "set FACE_EMULATOR_VENDORS__PERFECTCORP__ENGINE_CODES (now schema): "
        "Error codes of failed tasks: `schema` for the lower-case codes in the vendor's OpenAPI, `page` for "
        "the upper-case codes on its reference page."
    )


def test_a_different_error_gets_no_wording(corrector: Callable[..., Any]) -> None:
    made = corrector("faceplusplus")
    real = answer(401, {"error_message": "AUTHENTICATION_ERROR"})
    told = answer(400, {"error_message": "NO_FACE_FOUND: image_file_1"})
    for difference in (
        Difference("status", "status", 401, 400),
        Difference("value", "body.error_message", "AUTHENTICATION_ERROR", "NO_FACE_FOUND: image_file_1"),
    ):
        found = made.correct(difference, STEP, real, told)
        assert found == Correction(
            "the service returns AUTHENTICATION_ERROR instead of NO_FACE_FOUND; "
            "change the condition in emulator/vendors/faceplusplus"
        )


@pytest.mark.parametrize(
    ("real", "told", "advice"),
    [
        (
            answer(200, {"status": 200}),
            answer(401, {"error": "This API key is not recognized.", "error_code": "InvalidApiKey"}),
            "the service returns no error instead of InvalidApiKey",
        ),
        (
            answer(403, {"error": "words that no catalogue has"}),
            answer(200, {"data": {"error": "error_no_face", "error_message": "No face detected"}}),
            "the service returns an unknown error instead of error_no_face",
        ),
        (
            answer(403, {"error": "words that no catalogue has"}),
            answer(200, {"data": {}}),
            "the service returns an unknown error instead of no error",
        ),
    ],
)
def test_a_difference_between_success_and_error_gets_no_wording(
    corrector: Callable[..., Any], real: dict[str, Any], told: dict[str, Any], advice: str
) -> None:
    difference = Difference("status", "status", real["status"], told["status"])
    assert corrector("perfectcorp").correct(difference, STEP, real, told) == Correction(
        f"{advice}; change the condition in emulator/vendors/perfectcorp"
    )


def test_a_temporary_status_gets_no_correction(corrector: Callable[..., Any]) -> None:
    told = answer(422, {"error": {"code": 4, "message": "face not found"}})
    found = corrector("metahuman").correct(
        Difference("status", "status", 503, 422), STEP, answer(503, "busy"), told
    )
    assert found == Correction("a 503 is temporary; compare again before you correct anything")


def test_an_error_without_a_code_is_recognised_by_its_text(corrector: Callable[..., Any]) -> None:
    told = answer(429, {"status": 429, "error": "Too many requests"})
    difference = Difference("value", "body.error", "Slow down", "Too many requests")
    found = corrector("perfectcorp").correct(difference, STEP, UNKNOWN, told)
    assert (found.error, found.override) == ("TooManyRequests", ErrorOverride(text="Slow down"))
