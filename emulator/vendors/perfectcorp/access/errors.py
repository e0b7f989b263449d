"""The errors of the operation that issues access tokens."""

from __future__ import annotations

from emulator.vendors.perfectcorp.errors import SHARED, api
from emulator.world.error_catalogue import ErrorCatalogue, Mark

ACCESS = SHARED | ErrorCatalogue(
    [
        api(
            "InvalidAuthentication", 401, "InvalidAuthentication", "Invalid authentication",
            "`id_token` is not 128 bytes in base64, or the key in `client_id` is not valid.",
            Mark.OBSERVED, "live reports; the text is a guess",
        ),
    ]
)  # fmt: skip
