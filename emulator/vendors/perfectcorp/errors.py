"""The errors of Perfect Corp, as data.

Three layers answer: the API with a JSON envelope, the engine inside a task's status, and the
object store behind the presigned URLs with XML.
"""

from __future__ import annotations

from enum import StrEnum

from emulator.face.errors import (
    FaceAngleTooLarge,
    FaceError,
    FaceIndexOutOfRange,
    FaceTooSmall,
    ImageError,
    ImageTooLarge,
    NoFaceFound,
)
from emulator.web.catalogue import CatalogueEntry, ErrorCatalogue, Mark
from emulator.web.fetch import FetchFailed

PAGE = "https://docs.perfectcorp.com/reference/ai_face_reshape"
GUIDE = "https://docs.perfectcorp.com/develop/debugging_guide"


class Layer(StrEnum):
    """Who answers."""

    API = "api"
    ENGINE = "engine"
    STORE = "store"


def _api(
    name: str,
    status: int,
    code: str,
    text: str,
    when: str,
    mark: Mark,
    source: str,
    *,
    code_members: tuple[str, ...] = ("error_code",),
) -> CatalogueEntry:
    extra = {"layer": Layer.API, "code": code, "code_members": code_members}
    return CatalogueEntry(name, status, text, when, mark, source, (), extra)


def _engine(code: str, text: str, when: str, causes: tuple[type[Exception], ...]) -> CatalogueEntry:
    # The code is the vendor's; which situation gets which code is our guess.
    source = f"{PAGE}, EngineErrorCode"
    return CatalogueEntry(
        code, 200, text, when, Mark.GUESS, source, causes, {"layer": Layer.ENGINE, "code": code}
    )


def _store(name: str, status: int, code: str, text: str, when: str) -> CatalogueEntry:
    source = "behaviour of S3 presigned URLs"
    return CatalogueEntry(
        name, status, text, when, Mark.GUESS, source, (), {"layer": Layer.STORE, "code": code}
    )


ERRORS = ErrorCatalogue(
    [
        _api(
            "InvalidApiKey", 401, "InvalidApiKey", "This API key is not recognized.",
            "There is no `Authorization: Bearer` header, or its key is unknown.",
            Mark.OBSERVED, "a logged answer of 2026-09",
        ),
        _api(
            "NotFound", 404, "NotFound", "The requested resource was not found.", "The path is unknown.",
            Mark.GUESS, "the code is observed, in both spellings of its member; the text is not",
            code_members=("error_code", "errorCode"),
        ),
        _api(
            "MethodNotAllowed", 405, "MethodNotAllowed", "The method is not allowed for this resource.",
            "The path is known, with another method.", Mark.GUESS, "the status is observed, the body is not",
        ),
        _api(
            "InvalidParameters", 400, "InvalidParameters", "{sentence}", "A member of the body is missing or wrong.",
            Mark.OBSERVED, "logged answers of 2026, by the validator's sentence",
        ),
        _api(
            "UnresolvableFile", 400, "InvalidParameters", "One or more parameters in this request are invalid.",
            "`src_file_id` names no file.", Mark.OBSERVED, "logged answers of 2026",
        ),
        _api(
            "FileNotUploaded", 500, "unknown_internal_error", "Server Error",
            "`src_file_id` names a file whose bytes were never uploaded.", Mark.CONFIRMED, GUIDE,
        ),
        _api(
            "InvalidTaskId", 400, "InvalidTaskId", "Invalid task ID", "There is no such task.",
            Mark.CONFIRMED, f"{PAGE}, InvalidTaskId",
        ),
        _api(
            "InternalError", 500, "unknown_internal_error", "Server Error",
            "The emulator has a defect; its log says which.", Mark.GUESS, "by analogy",
        ),
        _engine("error_no_face", "No face detected", "There is no face in the picture.", (NoFaceFound,)),
        _engine(
            "error_pose", "The pose or size of the face is not supported",
            "The face is smaller than 1/20 of the picture, or turned by 30 degrees or more.",
            (FaceTooSmall, FaceAngleTooLarge),
        ),
        _engine("invalid_parameter", "No face at this index", "`index` is out of range.", (FaceIndexOutOfRange,)),
        _engine(
            "error_decode_image", "Decode source image error", "The bytes cannot be decoded, or are neither JPEG nor PNG.",
            (ImageError,),
        ),
        _engine("error_download_image", "Download source image error", "`src_file_url` leads nowhere.", (FetchFailed,)),
        _engine(
            "exceed_max_filesize", "Input file size exceeds the maximum limit",
            "The picture has 10 MB or more, or a side above 4096 pixels.", (ImageTooLarge,),
        ),
        _engine("unknown_internal_error", "Others", "The emulator has a defect; its log says which.", (FaceError,)),
        _store(
            "UploadSignature", 403, "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
            "The URL was changed, or the headers differ from those it was signed for.",
        ),
        _store("UploadExpired", 403, "AccessDenied", "Request has expired", "The URL is older than two hours."),
        _store("NoSuchKey", 404, "NoSuchKey", "The specified key does not exist.", "The object is gone."),
    ]
)  # fmt: skip
