"""The errors of Dense Facial Landmarks."""

from __future__ import annotations

from emulator.vendors.faceplusplus.errors import ARGUMENTS, GATEWAY, FacePlusPlusEntry, Layer
from emulator.world.error_catalogue import ErrorCatalogue, Mark

PAGE = "https://console.faceplusplus.com/documents/ Dense Facial Landmarks"

ERRORS = GATEWAY | ARGUMENTS | ErrorCatalogue(
    [
        FacePlusPlusEntry(
            "INVALID_FACE_TOKEN", 400, "INVALID_FACE_TOKEN: {face_token}",
            "The face token is unknown, has expired, or belongs to another key.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API",
            example={"face_token": "b2b6fd4a3b4c4a8fa5bb8bb7bd3a4b5d"}, layer=Layer.API,
        ),
    ]
)  # fmt: skip
