"""The errors of the operations of AI Face Reshape, and of the engine that performs its tasks."""

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
from emulator.vendors.perfectcorp.errors import GUIDE, PAGE, V2, Layer, PerfectCorpEntry, api
from emulator.vendors.perfectcorp.units.errors import SPENDING
from emulator.world.error_catalogue import ONLY_BY_FAULT, ErrorCatalogue, Mark


def _engine(
    code: str,
    page_code: str,
    text: str,
    when: str,
    causes: tuple[type[Exception], ...] = (),
    mark: Mark = Mark.GUESS,
) -> PerfectCorpEntry:
    # The vendor publishes the codes, but not when they occur. Most conditions in ``when`` are guesses.
    source = f"{PAGE}, EngineErrorCode; `page` codes: the page's table"
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


def _only_by_fault(code: str, page_code: str, text: str) -> PerfectCorpEntry:
    """Return an error that the vendor lists, but that the emulator returns only as an injected fault."""
    return replace(_engine(code, page_code, text, f"{ONLY_BY_FAULT}.", mark=Mark.CONFIRMED), is_natural=False)


ENGINE = ErrorCatalogue(
    [
        _engine(
            "error_no_face", "PHOTO_DETECTION_FAIL", "No face detected", "No face is found in the picture.",
            (NoFaceFound,),
        ),
        _engine(
            "error_pose", "PHOTO_CHECK_INVALID", "Failed to detect pose on source image",
            "The face fills 5 % or less of the picture's width or height, or is turned by 30 degrees or more.",
            (FaceTooSmall, FaceAngleTooLarge),
        ),
        _engine(
            "invalid_parameter", "PHOTO_CHECK_INVALID", "Invalid parameter value",
            "The picture has no face with this `index`.", (FaceIndexOutOfRange,),
        ),
        _engine(
            "error_decode_image", "INPUT_ERROR", "Decode source image error",
            "The file cannot be decoded, or is neither JPEG nor PNG.", (ImageError,),
        ),
        _engine(
            "error_download_image", "INPUT_MAIN_IMAGE_EMPTY", "Download source image error",
            "`src_file_url` cannot be downloaded.", (FetchFailed,), Mark.OBSERVED,
        ),
        _engine(
            "exceed_max_filesize", "INPUT_ERROR", "Input file size exceeds the maximum limit",
            "The picture is 10 MiB or larger, or a side is longer than 4096 pixels.", (ImageTooLarge,),
        ),
        _engine(
            "unknown_internal_error", "RUNTIME_ERROR", "Others",
            "The emulator fails unexpectedly; its log has the traceback.", (FaceError,),
        ),
        _only_by_fault("error_exceed_max_image_size", "INPUT_ERROR", "Input image size exceeds the maximum limit"),
        _only_by_fault("error_download_mask", "RUNTIME_ERROR", "Download mask image error"),
        _only_by_fault("error_decode_mask", "RUNTIME_ERROR", "Decode mask image error"),
        _only_by_fault("error_nsfw_content_detected", "RUNTIME_ERROR", "NSFW content detected in source image"),
        _only_by_fault("error_face_parsing", "RUNTIME_ERROR", "Failed to do face segmentation on source image"),
        _only_by_fault("error_inference", "RUNTIME_ERROR", "Inference pipeline error"),
        _only_by_fault("exceed_nsfw_retry_limits", "RUNTIME_ERROR", "Exceed the retry limits to avoid generated NSFW image"),
        _only_by_fault("error_upload", "RUNTIME_ERROR", "Upload result image error"),
    ]
)  # fmt: skip
"""Errors that a task can end with."""

CREATION = V2 | SPENDING | ENGINE | ErrorCatalogue(
    [
        api(
            "UnresolvableFile", 400, "InvalidParameters", "One or more parameters in this request are invalid.",
            "The file `src_file_id` does not exist, has expired, or belongs to another key.",
            Mark.OBSERVED, "logged responses of 2026",
        ),
        api(
            "FileNotUploaded", 500, "unknown_internal_error", "Server Error",
            "The file was registered but never uploaded, and the setting `missing_upload_status` is 500 (the default).",
            Mark.CONFIRMED, GUIDE,
        ),
        api(
            "FileNotUploaded404", 404, "NotFound", "The requested resource was not found.",
            "The file was registered but never uploaded, and the setting `missing_upload_status` is 404.",
            Mark.CONFIRMED, GUIDE,
        ),
        api(
            "BadRequest", 400, "BadRequest", "Unexpected request parameter",
            f"{ONLY_BY_FAULT}, because unknown members of the body are ignored.", Mark.CONFIRMED, f"{PAGE}, RunError", is_natural=False,
        ),
        api(
            "InvalidStyle", 400, "InvalidStyle", "Invalid style id", f"{ONLY_BY_FAULT}, because AI Face Reshape has no styles.",
            Mark.CONFIRMED, f"{PAGE}, RunError", is_natural=False,
        ),
        api(
            "InvalidStyleGroup", 400, "InvalidStyleGroup", "Invalid style group id",
            f"{ONLY_BY_FAULT}, because AI Face Reshape has no styles.", Mark.CONFIRMED, f"{PAGE}, RunError", is_natural=False,
        ),
    ]
)  # fmt: skip

POLL = V2 | ErrorCatalogue(
    [
        api(
            "TaskTimeout", 500, "TaskTimeout", "Task execution timed out",
            "The task is older than the setting `task_days` allows, or it ran for longer than the setting `task_timeout_s` allows.",
            Mark.CONFIRMED, f"{PAGE}, TaskTimeout",
        ),
        api(
            "InvalidTaskId", 400, "InvalidTaskId", "Invalid task ID",
            "The key has no such task, or the task was lost because it was not polled for longer than the setting `unpolled_expiry_s` allows.",
            Mark.CONFIRMED, f"{PAGE}, InvalidTaskId",
        ),
    ]
)  # fmt: skip

DELETION = V2 | ErrorCatalogue(
    [
        api(
            "DeleteWithoutTaskId", 400, "InvalidParameters", "Operation not supported",
            "The request to delete a task has no valid `task_id`.", Mark.CONFIRMED, "task management API",
        ),
        api(
            "DeleteUnknownTask", 400, "InvalidTaskId", "Operation not supported",
            "The task to delete does not exist.", Mark.CONFIRMED, "task management API",
        ),
        api(
            "OperationInvalid", 400, "OperationInvalid", "Operation not supported",
            "The task to delete is still running.", Mark.CONFIRMED, "task management API",
        ),
        api(
            "OperationNotSupport", 400, "OperationNotSupport", "Operation not supported",
            "The task to delete is a pre-process task.", Mark.CONFIRMED, "task management API; which tasks is a guess",
        ),
    ]
)  # fmt: skip
