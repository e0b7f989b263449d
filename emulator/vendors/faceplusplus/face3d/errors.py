"""The errors of 3D Face."""

from __future__ import annotations

from emulator.face.errors import NoFaceFound, SeveralFacesFound
from emulator.vendors.faceplusplus.errors import ARGUMENTS, GATEWAY, PAGE, api
from emulator.world.error_catalogue import ErrorCatalogue, Mark

ERRORS = GATEWAY | ARGUMENTS | ErrorCatalogue(
    [
        api(
            "NO_FACE_FOUND", 400, "NO_FACE_FOUND: {param}", "No face is found in the image.",
            Mark.CONFIRMED, f"{PAGE}, common errors", (NoFaceFound,),
        ),
        api(
            "MULTIPLE_FACE_FOUND", 400, "MULTIPLE_FACE_FOUND: {param}", "More than one face is found in the image.",
            Mark.CONFIRMED, f"{PAGE}, common errors", (SeveralFacesFound,),
        ),
    ]
)  # fmt: skip
