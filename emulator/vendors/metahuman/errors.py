"""The errors that all APIs of MetaHuman SDK share."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.face.errors import FaceError, ImageEmpty, ImageError, NoFaceFound
from emulator.world.credentials import CredentialOfOtherRegion, CredentialRefused, CredentialUnknown
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, Mark


@dataclass(frozen=True, kw_only=True)
class MetaHumanEntry(CatalogueEntry):
    """One error of MetaHuman SDK. ``code`` is the vendor's number for it; None for FastAPI's own errors."""

    code: int | None = None


PAGE = "https://docs.metahumansdk.io/service-apis-for-creating-virtual-avatars errors/3d-face-reconstruction"


def refusal(
    name: str,
    code: int,
    text: str,
    when: str,
    causes: tuple[type[Exception], ...] = (),
) -> MetaHumanEntry:
    """Return an error that the vendor documents. It has a number, and its HTTP status is 422."""
    return MetaHumanEntry(name, 422, text, when, Mark.CONFIRMED, PAGE, causes, code=code)


FILE_TOO_LARGE = refusal("FILE_TOO_LARGE", 3, "file must be less than 10mb", "The photo is 10 MiB or larger.")
"""The error for a photo or a request body that is too large."""

UNREGISTERED_TOKEN = refusal(
    "UNREGISTERED_TOKEN",
    0,
    "unregistered token",
    "The token has the state `other_region`, or the setting `strict` is on and the token has no state.",
    (CredentialUnknown, CredentialOfOtherRegion),
)
"""The error for an unknown token."""

SHARED = ErrorCatalogue(
    [
        MetaHumanEntry(
            "INTERNAL_ERROR", 500, "Internal Server Error",
            "The emulator fails unexpectedly; its log has the traceback.", Mark.GUESS,
            "the service looks like a FastAPI application", (FaceError,),
        ),
    ]
)  # fmt: skip
"""The error that every operation can return."""

PHOTO = SHARED | ErrorCatalogue(
    [
        UNREGISTERED_TOKEN,
        refusal(
            "FAIL_AUTHORIZATION", 1, "fail authorization", "The token has the state `revoked`, `expired`, `restricted` or `no_balance`.",
            (CredentialRefused,),
        ),
        FILE_TOO_LARGE,
        refusal("FACE_NOT_FOUND", 4, "face not found", "No face is found in the photo.", (NoFaceFound,)),
        refusal(
            "FILE_CORRUPTED", 5, "file corrupted", "The photo cannot be decoded, or its format is not supported.",
            (ImageError,),
        ),
        refusal("EMPTY_IMAGE", 6, "empty input image", "The photo is an empty file.", (ImageEmpty,)),
    ]
)  # fmt: skip
"""Errors of the operations that receive a token and a photo."""
