"""The errors of Example Faces."""

from __future__ import annotations

from emulator.face.errors import FaceError, ImageError, NoFaceFound
from emulator.world.credentials import CredentialRefused
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, Mark

PAGE = "https://faces.example/errors"
SURE, GUESS = Mark.CONFIRMED, Mark.GUESS
Entry = CatalogueEntry

SHARED = ErrorCatalogue(
    [
        Entry("bad_key", 401, "Who are you?", "The key is not valid.", SURE, PAGE, (CredentialRefused,)),
        Entry("no_such_path", 404, "Nothing is here.", "The path does not exist.", SURE, PAGE),
        Entry("too_large", 413, "That is too much.", "The body is too long.", SURE, PAGE),
        Entry(
            "defect", 500, "We are sorry.", "The emulator fails unexpectedly; its log has the traceback.", GUESS,
            "by analogy", (FaceError,),
        ),
    ]
)  # fmt: skip
"""Errors that every operation can return."""

COUNT = SHARED | ErrorCatalogue(
    [
        Entry("no_picture", 415, "The body is not a picture.", "The body cannot be decoded.", SURE, PAGE, (ImageError,)),
        Entry("nobody", 422, "There is no face.", "No face is found in the picture.", SURE, PAGE, (NoFaceFound,)),
        Entry(
            "crowd", 418, "Too many to count: {count}.", "The picture has more faces than `most_faces`.", SURE, PAGE,
            example={"count": "6"},
        ),
    ]
)  # fmt: skip
"""Errors of the operation ``count``. No other vendor has an error like ``crowd``."""

CROP = SHARED | ErrorCatalogue(
    [
        Entry("no_body", 400, "Say where the picture is.", "The body is not JSON with a `url`.", SURE, PAGE),
        Entry(
            "crop_failed", 200, "The crop failed.", "The picture cannot be read, or no face is found in it.", SURE, PAGE,
            of_task=True,
        ),
    ]
)  # fmt: skip
"""Errors of the operation ``create_crop``, and the error of a crop that fails."""

POLL = SHARED | ErrorCatalogue(
    [Entry("unknown_crop", 410, "That crop is gone.", "The crop does not exist, or has expired.", SURE, PAGE)]
)
