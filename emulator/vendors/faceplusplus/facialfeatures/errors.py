"""The errors of Facial Features."""

from __future__ import annotations

from emulator.vendors.faceplusplus.errors import ARGUMENTS, GATEWAY, api
from emulator.vendors.faceplusplus.face3d.errors import ERRORS as OF_3D_FACE
from emulator.world.error_catalogue import ONLY_BY_FAULT, ErrorCatalogue, Mark

ERRORS = GATEWAY | ARGUMENTS | OF_3D_FACE.only("NO_FACE_FOUND") | ErrorCatalogue(
    [
        api(
            "INVALID_IMAGE_FACE", 400, "INVALID_IMAGE_FACE",
            f"{ONLY_BY_FAULT}, because the vendor does not say when it occurs. The vendor lists it for a similar operation, Skin Analyze (not emulated).",
            Mark.GUESS, "by analogy with Skin Analyze", is_natural=False,
        ),
    ]
)  # fmt: skip
