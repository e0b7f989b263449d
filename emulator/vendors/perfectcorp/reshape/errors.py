"""The errors of AI Face Reshape, as data: of its tasks' creation, polls, deletion, and of the engine."""

from __future__ import annotations

from dataclasses import replace

from emulator.backends.fetch import FetchFailed
from emulator.face.errors import (
    FaceAngleTooLarge,
    FaceError,
    FaceIndexOutOfRange,
    FaceTooSmall,
    ImageError,
    ImageTooLarge,
    NoFaceFound,
)
from emulator.vendors.perfectcorp.errors import GUIDE, PAGE, SHARED, Layer, PerfectCorpEntry, api
from emulator.vendors.perfectcorp.units.errors import SPENDING
from emulator.world.error_catalogue import NEVER, ErrorCatalogue, Mark


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
        mark,
        source,
        causes,
        of_task=True,
        layer=Layer.ENGINE,
        code=code,
        page_code=page_code,
    )


def _never(code: str, page_code: str, text: str) -> PerfectCorpEntry:
    """Return an error that the page lists and nothing causes here."""
    return replace(_engine(code, page_code, text, f"{NEVER}.", mark=Mark.CONFIRMED), is_natural=False)


ENGINE = ErrorCatalogue(
    [
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
        _never("error_exceed_max_image_size", "INPUT_ERROR", "Input image size exceeds the maximum limit"),
        _never("error_download_mask", "RUNTIME_ERROR", "Download mask image error"),
        _never("error_decode_mask", "RUNTIME_ERROR", "Decode mask image error"),
        _never("error_nsfw_content_detected", "RUNTIME_ERROR", "NSFW content detected in source image"),
        _never("error_face_parsing", "RUNTIME_ERROR", "Failed to do face segmentation on source image"),
        _never("error_inference", "RUNTIME_ERROR", "Inference pipeline error"),
        _never("exceed_nsfw_retry_limits", "RUNTIME_ERROR", "Exceed the retry limits to avoid generated NSFW image"),
        _never("error_upload", "RUNTIME_ERROR", "Upload result image error"),
    ]
)  # fmt: skip
"""How a task can end."""

CREATION = SHARED | SPENDING | ENGINE | ErrorCatalogue(
    [
        api(
            "UnresolvableFile", 400, "InvalidParameters", "One or more parameters in this request are invalid.",
            "`src_file_id` names no file.", Mark.OBSERVED, "logged answers of 2026",
        ),
        api(
            "FileNotUploaded", 500, "unknown_internal_error", "Server Error",
            "`src_file_id` names a file whose bytes were never uploaded.", Mark.CONFIRMED, GUIDE,
        ),
        api(
            "FileNotUploaded404", 404, "NotFound", "The requested resource was not found.",
            "The same, if the setting `missing_upload_status` says so.", Mark.CONFIRMED, GUIDE,
        ),
        api(
            "BadRequest", 400, "BadRequest", "Unexpected request parameter", f"{NEVER}: unknown members are dropped.",
            Mark.CONFIRMED, f"{PAGE}, RunError", is_natural=False,
        ),
        api(
            "InvalidStyle", 400, "InvalidStyle", "Invalid style id", f"{NEVER}.",
            Mark.CONFIRMED, f"{PAGE}, RunError", is_natural=False,
        ),
        api(
            "InvalidStyleGroup", 400, "InvalidStyleGroup", "Invalid style group id", f"{NEVER}.",
            Mark.CONFIRMED, f"{PAGE}, RunError", is_natural=False,
        ),
    ]
)  # fmt: skip

POLL = SHARED | ErrorCatalogue(
    [
        api(
            "TaskTimeout", 500, "TaskTimeout", "Task execution timed out",
            "The task is older than the settings `task_days` or, still running, `task_timeout_s` allow.",
            Mark.CONFIRMED, f"{PAGE}, TaskTimeout",
        ),
        api(
            "InvalidTaskId", 400, "InvalidTaskId", "Invalid task ID", "There is no such task.",
            Mark.CONFIRMED, f"{PAGE}, InvalidTaskId",
        ),
    ]
)  # fmt: skip

DELETION = SHARED | ErrorCatalogue(
    [
        api(
            "DeleteWithoutTaskId", 400, "InvalidParameters", "Operation not supported",
            "task/delete without `task_id`.", Mark.CONFIRMED, "task management API",
        ),
        api(
            "DeleteUnknownTask", 400, "InvalidTaskId", "Operation not supported",
            "task/delete of a task that is not there.", Mark.CONFIRMED, "task management API",
        ),
        api(
            "OperationInvalid", 400, "OperationInvalid", "Operation not supported",
            "task/delete of a task that still runs.", Mark.CONFIRMED, "task management API",
        ),
        api(
            "OperationNotSupport", 400, "OperationNotSupport", "Operation not supported",
            "task/delete of a pre-process task.", Mark.CONFIRMED, "task management API; which tasks is a guess",
        ),
    ]
)  # fmt: skip
