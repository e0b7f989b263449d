"""The errors of Example Faces, as data."""

from __future__ import annotations

from emulator.face.errors import FaceError, ImageError, NoFaceFound
from emulator.world.credentials import CredentialRefused
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, Mark

PAGE = "https://faces.example/errors"
SURE, GUESS = Mark.CONFIRMED, Mark.GUESS
Entry = CatalogueEntry

SHARED = ErrorCatalogue(
    [
        Entry("bad_key", 401, "Who are you?", "The key is not good.", SURE, PAGE, (CredentialRefused,)),
        Entry("no_such_path", 404, "Nothing is here.", "The path is unknown.", SURE, PAGE),
        Entry("too_large", 413, "That is too much.", "The body has more than 1 MiB.", SURE, PAGE),
        Entry(
            "defect", 500, "We are sorry.", "The emulator has a defect; its log says which.", GUESS, "by analogy",
            (FaceError,),
        ),
    ]
)  # fmt: skip
"""What every operation can answer."""

COUNT = SHARED | ErrorCatalogue(
    [
        Entry("no_picture", 415, "That is no picture.", "The body cannot be decoded.", SURE, PAGE, (ImageError,)),
        Entry("nobody", 422, "Nobody is there.", "There is no face in the picture.", SURE, PAGE, (NoFaceFound,)),
        Entry(
            "crowd", 418, "Too many to count: {count}.", "There are more faces than `most_faces` allows.", SURE, PAGE,
            example={"count": "6"},
        ),
    ]
)  # fmt: skip
"""What `count` can answer. A crowd is an error that no other vendor has."""

CROP = SHARED | ErrorCatalogue(
    [
        Entry("no_body", 400, "Say where the picture is.", "The body is no JSON with a `url`.", SURE, PAGE),
        Entry(
            "crop_failed", 200, "The crop failed.", "The picture cannot be had, or shows nobody.", SURE, PAGE,
            of_task=True,
        ),
    ]
)  # fmt: skip
"""What `create_crop` can answer, and how a crop can end."""

POLL = SHARED | ErrorCatalogue(
    [Entry("unknown_crop", 410, "That crop is gone.", "There is no such crop, or not any more.", SURE, PAGE)]
)
