"""The errors of the operation that issues access tokens."""

from __future__ import annotations

from emulator.vendors.perfectcorp.errors import SHARED, api
from emulator.world.error_catalogue import ErrorCatalogue, Mark

ACCESS = SHARED | ErrorCatalogue(
    [
        api(
            "InvalidAuthentication", 401, "InvalidAuthentication", "Invalid authentication",
            "The `id_token` of a legacy client is corrupt, or the key in `client_id` is not valid.",
            Mark.OBSERVED, "live reports; the text is a guess",
        ),
    ]
)  # fmt: skip
