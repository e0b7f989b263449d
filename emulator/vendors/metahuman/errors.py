"""The errors of MetaHuman SDK's face reconstruction, as data. Every one is answered with HTTP 422."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.face.errors import FaceError, ImageEmpty, ImageError, NoFaceFound
from emulator.web.catalogue import CatalogueEntry, ErrorCatalogue, Mark
from emulator.web.credentials import CredentialOfOtherRegion, CredentialRefused, CredentialUnknown

PAGE = "https://docs.metahumansdk.io/service-apis-for-creating-virtual-avatars errors/3d-face-reconstruction"


@dataclass(frozen=True, kw_only=True)
class MetaHumanEntry(CatalogueEntry):
    """One error of MetaHuman SDK; ``code`` is its number, None where FastAPI answers by itself."""

    code: int | None = None


def _entry(
    name: str,
    code: int,
    text: str,
    when: str,
    causes: tuple[type[Exception], ...] = (),
) -> MetaHumanEntry:
    return MetaHumanEntry(
        name, 422, text, when, Mark.CONFIRMED, PAGE, causes, operations=("run_pipeline",), code=code
    )


ERRORS = ErrorCatalogue(
    [
        _entry(
            "UNREGISTERED_TOKEN", 0, "unregistered token", "The token is unknown.",
            (CredentialUnknown, CredentialOfOtherRegion),
        ),
        _entry(
            "FAIL_AUTHORIZATION", 1, "fail authorization", "The token is known, and its access is limited.",
            (CredentialRefused,),
        ),
        _entry(
            "FILE_TOO_LARGE", 3, "file must be less than 10mb", "The photo has 10 MiB or more.",
        ),
        _entry(
            "FACE_NOT_FOUND", 4, "face not found", "There is no face in the photo.", (NoFaceFound,),
        ),
        _entry(
            "FILE_CORRUPTED", 5, "file corrupted", "The photo cannot be decoded, or has another format.",
            (ImageError,),
        ),
        _entry("EMPTY_IMAGE", 6, "empty input image", "The photo has no bytes.", (ImageEmpty,)),
        MetaHumanEntry(
            "INTERNAL_ERROR", 500, "Internal Server Error", "The emulator has a defect; its log says which.",
            Mark.GUESS, "the service looks like a FastAPI application", (FaceError,),
        ),
    ]
)  # fmt: skip
