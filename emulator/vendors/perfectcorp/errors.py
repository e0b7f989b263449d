"""The errors of Perfect Corp, as data.

Three layers answer: the API with a JSON envelope, the engine inside a task's status, and the
object store behind the presigned URLs with XML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from emulator.face.errors import (
    FaceAngleTooLarge,
    FaceError,
    FaceIndexOutOfRange,
    FaceTooSmall,
    ImageError,
    ImageTooLarge,
    NoFaceFound,
)
from emulator.web.catalogue import NEVER, CatalogueEntry, ErrorCatalogue, Mark
from emulator.web.credentials import (
    CredentialExpired,
    CredentialOfOtherRegion,
    CredentialOutOfBalance,
    CredentialRestricted,
    CredentialRevoked,
    CredentialUnknown,
)
from emulator.web.fetch import FetchFailed


class UnitsInsufficient(Exception):
    """The key's units do not cover the cost of a task."""


PAGE = "https://docs.perfectcorp.com/reference/ai_face_reshape"
GUIDE = "https://docs.perfectcorp.com/develop/debugging_guide"


TASK_OPERATIONS = ("create_reshape", "create_pre_process")
CHECK_OPERATIONS = ("check_reshape", "check_pre_process")
UNIT_OPERATIONS = ("credit", "credit_history")
STORE_OPERATIONS = ("upload", "download")
API_OPERATIONS = (
    "create_file", *TASK_OPERATIONS, *CHECK_OPERATIONS, "delete_task", "legacy_token", *UNIT_OPERATIONS, "feature_cost",
)  # fmt: skip
"""The operations, by who answers them."""


class Layer(StrEnum):
    """Who answers."""

    API = "api"
    ENGINE = "engine"
    STORE = "store"


@dataclass(frozen=True, kw_only=True)
class PerfectCorpEntry(CatalogueEntry):
    """One error of Perfect Corp, and how its layer tells it.

    Attributes
    ----------
    layer : Layer
        Who answers.
    code : str
        As it stands in the body; empty if it does not.
    page_code : str
        The engine's, by the table on the page.
    code_members : tuple of str
        The members of the API's envelope in which the code stands.
    """

    layer: Layer
    code: str
    page_code: str = ""
    code_members: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of either profile."""
        return tuple(code for code in (self.code, self.page_code) if code)


def _api(
    name: str,
    status: int,
    code: str,
    text: str,
    when: str,
    mark: Mark,
    source: str,
    *,
    causes: tuple[type[Exception], ...] = (),
    code_members: tuple[str, ...] = ("error_code",),
    operations: tuple[str, ...] = API_OPERATIONS,
    example: Mapping[str, str] = MappingProxyType({}),
) -> PerfectCorpEntry:
    return PerfectCorpEntry(
        name,
        status,
        text,
        when,
        mark,
        source,
        causes,
        operations=operations,
        example=example,
        layer=Layer.API,
        code=code,
        code_members=code_members,
    )


def _engine(
    code: str,
    page_code: str,
    text: str,
    when: str,
    causes: tuple[type[Exception], ...] = (),
    mark: Mark = Mark.GUESS,
) -> PerfectCorpEntry:
    # The codes are the vendor's; which situation gets which code is mostly our guess.
    source = f"{PAGE}, EngineErrorCode; in the other profile, the page's table"
    return PerfectCorpEntry(
        code,
        200,
        text,
        when,
        Mark.CONFIRMED if when.startswith(NEVER) else mark,
        source,
        causes,
        of_task=True,
        operations=TASK_OPERATIONS,
        layer=Layer.ENGINE,
        code=code,
        page_code=page_code,
    )


def _store(
    name: str,
    status: int,
    code: str,
    text: str,
    when: str,
    mark: Mark = Mark.GUESS,
    operations: tuple[str, ...] = STORE_OPERATIONS,
) -> PerfectCorpEntry:
    source = "behaviour of S3 presigned URLs"
    return PerfectCorpEntry(
        name, status, text, when, mark, source, operations=operations, layer=Layer.STORE, code=code
    )


ERRORS = ErrorCatalogue(
    [
        _api(
            "InvalidApiKey", 401, "InvalidApiKey", "This API key is not recognized.",
            "There is no `Authorization: Bearer` header, or its key is unknown.",
            Mark.OBSERVED, "a logged answer of 2026-09", causes=(CredentialUnknown, CredentialOfOtherRegion),
        ),
        _api(
            "InactiveApiKey", 401, "InactiveApiKey", "This API key is not active.", "The key is revoked.",
            Mark.CONFIRMED, "error codes page; the text is a guess", causes=(CredentialRevoked, CredentialRestricted),
        ),
        _api(
            "ExpiredApiKey", 401, "ExpiredApiKey", "This API key has expired.", "The key's time is over.",
            Mark.CONFIRMED, "error codes page; the text is a guess", causes=(CredentialExpired,),
        ),
        _api(
            "InvalidAccessToken", 401, "InvalidAccessToken", "Unauthorized",
            "A v1.0 path is called without a good key or access token.", Mark.CONFIRMED, "unit API", operations=UNIT_OPERATIONS,
        ),
        _api(
            "InvalidAuthentication", 401, "InvalidAuthentication", "Invalid authentication",
            "The `id_token` of a legacy client is corrupt.", Mark.OBSERVED, "live reports; the text is a guess", operations=("legacy_token",),
        ),
        _api(
            "TooManyRequests", 429, "", "Too many requests",
            "More than 5 calls a second or 250 in 300 s, if the setting `rate_limit` is on.",
            Mark.CONFIRMED, f"{PAGE}, TooManyRequests; unit system page", code_members=(),
        ),
        _api(
            "NotFound", 404, "NotFound", "The requested resource was not found.", "The path is unknown.",
            Mark.OBSERVED, "the code, in both spellings of its member; the text is a guess",
            code_members=("error_code", "errorCode"),
        ),
        _api(
            "MethodNotAllowed", 405, "MethodNotAllowed", "The method is not allowed for this resource.",
            "The path is known, with another method.", Mark.GUESS, "the status is observed, the body is not",
        ),
        _api(
            "InvalidParameters", 400, "InvalidParameters", "{sentence}", "A member of the body is missing or wrong.",
            Mark.OBSERVED, "logged answers of 2026, by the validator's sentence", example={"sentence": "One or more parameters in this request are invalid."},
        ),
        _api(
            "UnresolvableFile", 400, "InvalidParameters", "One or more parameters in this request are invalid.",
            "`src_file_id` names no file.", Mark.OBSERVED, "logged answers of 2026", operations=TASK_OPERATIONS,
        ),
        _api(
            "FileNotUploaded", 500, "unknown_internal_error", "Server Error",
            "`src_file_id` names a file whose bytes were never uploaded.", Mark.CONFIRMED, GUIDE, operations=TASK_OPERATIONS,
        ),
        _api(
            "FileNotUploaded404", 404, "NotFound", "The requested resource was not found.",
            "The same, if the setting `missing_upload_status` says so.", Mark.CONFIRMED, GUIDE, operations=TASK_OPERATIONS,
        ),
        _api(
            "CreditInsufficiency", 400, "CreditInsufficiency",
            "Your account doesn't have enough credits to complete this request.",
            "The key has fewer units than the task costs.", Mark.OBSERVED, "a logged answer",
            causes=(CredentialOutOfBalance, UnitsInsufficient), operations=TASK_OPERATIONS,
        ),
        _api(
            "BadRequest", 400, "BadRequest", "Unexpected request parameter", f"{NEVER}: unknown members are dropped.",
            Mark.CONFIRMED, f"{PAGE}, RunError", operations=TASK_OPERATIONS,
        ),
        _api("InvalidStyle", 400, "InvalidStyle", "Invalid style id", f"{NEVER}.", Mark.CONFIRMED, f"{PAGE}, RunError", operations=TASK_OPERATIONS),
        _api(
            "InvalidStyleGroup", 400, "InvalidStyleGroup", "Invalid style group id", f"{NEVER}.",
            Mark.CONFIRMED, f"{PAGE}, RunError", operations=TASK_OPERATIONS,
        ),
        _api(
            "TaskTimeout", 500, "TaskTimeout", "Task execution timed out",
            "The task is older than the settings `task_days` or, still running, `task_timeout_s` allow.",
            Mark.CONFIRMED, f"{PAGE}, TaskTimeout", operations=CHECK_OPERATIONS,
        ),
        _api(
            "DeleteWithoutTaskId", 400, "InvalidParameters", "Operation not supported",
            "task/delete without `task_id`.", Mark.CONFIRMED, "task management API", operations=("delete_task",),
        ),
        _api(
            "DeleteUnknownTask", 400, "InvalidTaskId", "Operation not supported",
            "task/delete of a task that is not there.", Mark.CONFIRMED, "task management API", operations=("delete_task",),
        ),
        _api(
            "OperationInvalid", 400, "OperationInvalid", "Operation not supported",
            "task/delete of a task that still runs.", Mark.CONFIRMED, "task management API", operations=("delete_task",),
        ),
        _api(
            "OperationNotSupport", 400, "OperationNotSupport", "Operation not supported",
            "task/delete of a pre-process task.", Mark.CONFIRMED, "task management API; which tasks is a guess", operations=("delete_task",),
        ),
        _api(
            "InvalidTaskId", 400, "InvalidTaskId", "Invalid task ID", "There is no such task.",
            Mark.CONFIRMED, f"{PAGE}, InvalidTaskId", operations=CHECK_OPERATIONS,
        ),
        _api(
            "InternalError", 500, "unknown_internal_error", "Server Error",
            "The emulator has a defect; its log says which.", Mark.GUESS, "by analogy",
        ),
        _engine(
            "error_no_face", "PHOTO_DETECTION_FAIL", "No face detected", "There is no face in the picture.",
            (NoFaceFound,),
        ),
        _engine(
            "error_pose", "PHOTO_CHECK_INVALID", "Failed to detect pose on source image",
            "The face is smaller than 1/20 of the picture, or turned by 30 degrees or more.",
            (FaceTooSmall, FaceAngleTooLarge),
        ),
        _engine(
            "invalid_parameter", "PHOTO_CHECK_INVALID", "Invalid parameter value", "`index` is out of range.",
            (FaceIndexOutOfRange,),
        ),
        _engine(
            "error_decode_image", "INPUT_ERROR", "Decode source image error",
            "The bytes cannot be decoded, or are neither JPEG nor PNG.", (ImageError,),
        ),
        _engine(
            "error_download_image", "INPUT_MAIN_IMAGE_EMPTY", "Download source image error",
            "`src_file_url` leads nowhere.", (FetchFailed,), Mark.OBSERVED,
        ),
        _engine(
            "exceed_max_filesize", "INPUT_ERROR", "Input file size exceeds the maximum limit",
            "The picture has 10 MB or more, or a side above 4096 pixels.", (ImageTooLarge,),
        ),
        _engine(
            "unknown_internal_error", "RUNTIME_ERROR", "Others", "The emulator has a defect; its log says which.",
            (FaceError,),
        ),
        _engine("error_exceed_max_image_size", "INPUT_ERROR", "Input image size exceeds the maximum limit", f"{NEVER}."),
        _engine("error_download_mask", "RUNTIME_ERROR", "Download mask image error", f"{NEVER}."),
        _engine("error_decode_mask", "RUNTIME_ERROR", "Decode mask image error", f"{NEVER}."),
        _engine("error_nsfw_content_detected", "RUNTIME_ERROR", "NSFW content detected in source image", f"{NEVER}."),
        _engine("error_face_parsing", "RUNTIME_ERROR", "Failed to do face segmentation on source image", f"{NEVER}."),
        _engine("error_inference", "RUNTIME_ERROR", "Inference pipeline error", f"{NEVER}."),
        _engine(
            "exceed_nsfw_retry_limits", "RUNTIME_ERROR", "Exceed the retry limits to avoid generated NSFW image", f"{NEVER}."
        ),
        _engine("error_upload", "RUNTIME_ERROR", "Upload result image error", f"{NEVER}."),
        _store(
            "TwoAuthMechanisms", 400, "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
            "parameter or the Authorization header should be specified",
            "A presigned URL is called with an `Authorization` header.", Mark.OBSERVED,
        ),
        _store("NotSigned", 403, "AccessDenied", "Access Denied", "The URL has no signature."),
        _store(
            "BadSignature", 403, "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            "The URL was changed, or the headers differ from those it was signed for.",
        ),
        _store("SignatureExpired", 403, "AccessDenied", "Request has expired", "The URL is older than two hours."),
        _store(
            "MissingContentLength", 411, "MissingContentLength", "You must provide the Content-Length HTTP header.",
            "An upload does not say how long it is.", operations=("upload",),
        ),
        _store("NoSuchKey", 404, "NoSuchKey", "The specified key does not exist.", "The object is gone.", operations=("download",)),
        _store("StoreError", 500, "InternalError", "We encountered an internal error. Please try again.", "The emulator has a defect; its log says which."),
        _store(
            "StoreMethodNotAllowed", 405, "MethodNotAllowed",
            "The specified method is not allowed against this resource.", "Another method than PUT and GET.",
        ),
    ]
)  # fmt: skip
