"""The errors of Detect."""

from __future__ import annotations

from emulator.vendors.faceplusplus.errors import ARGUMENTS, GATEWAY, api
from emulator.world.error_catalogue import ONLY_BY_FAULT, ErrorCatalogue, Mark

PAGE = "https://console.faceplusplus.com/documents/ Detect"

ERRORS = GATEWAY | ARGUMENTS | ErrorCatalogue(
    [
        api(
            "INSUFFICIENT_PERMISSION", 403, "INSUFFICIENT_PERMISSION: {param}",
            "The setting `key_kind` is `free`, and the request has `calculate_all` or `face_rectangle`.",
            Mark.CONFIRMED, f"{PAGE}, request parameter", param="calculate_all",
        ),
        api(
            "TOO_MANY_FACE_ATTRIBUTES", 400, "TOO_MANY_FACE_ATTRIBUTES",
            f"{ONLY_BY_FAULT}, because the vendor does not say when it returns this error.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API", is_natural=False,
        ),
    ]
)  # fmt: skip
