"""The errors of face reconstruction."""

from __future__ import annotations

from emulator.face.errors import ImageEmpty, ImageError, NoFaceFound
from emulator.vendors.metahuman.errors import FILE_TOO_LARGE, SHARED, refusal
from emulator.world.credentials import CredentialOfOtherRegion, CredentialRefused, CredentialUnknown
from emulator.world.error_catalogue import ErrorCatalogue

ERRORS = ErrorCatalogue(
    [
        refusal(
            "UNREGISTERED_TOKEN", 0, "unregistered token", "The token has the state `other_region`, or the setting `strict` is on and the token has no state.",
            (CredentialUnknown, CredentialOfOtherRegion),
        ),
        refusal(
            "FAIL_AUTHORIZATION", 1, "fail authorization", "The token has the state `revoked`, `expired`, `restricted` or `no_balance`.",
            (CredentialRefused,),
        ),
        FILE_TOO_LARGE,
        refusal(
            "FACE_NOT_FOUND", 4, "face not found", "No face is found in the photo.", (NoFaceFound,),
        ),
        refusal(
            "FILE_CORRUPTED", 5, "file corrupted", "The photo cannot be decoded, or its format is not supported.",
            (ImageError,),
        ),
        refusal("EMPTY_IMAGE", 6, "empty input image", "The photo is an empty file.", (ImageEmpty,)),
        *SHARED,
    ]
)  # fmt: skip
