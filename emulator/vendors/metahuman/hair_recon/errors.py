"""The errors of hair reconstruction."""

from __future__ import annotations

from emulator.vendors.metahuman.errors import PHOTO, MetaHumanEntry
from emulator.world.error_catalogue import ONLY_BY_FAULT, ErrorCatalogue, Mark

PAGE = "https://docs.metahumansdk.io/service-apis-for-creating-virtual-avatars errors/3d-hair-reconstruction"


def _documented(name: str, code: int, text: str, when: str, *, is_natural: bool = True) -> MetaHumanEntry:
    return MetaHumanEntry(name, 422, text, when, Mark.CONFIRMED, PAGE, code=code, is_natural=is_natural)


HAIR = PHOTO | ErrorCatalogue(
    [
        _documented("GLB_WRITE_ERROR", 2, "glb model write error", f"{ONLY_BY_FAULT}.", is_natural=False),
        _documented("WRONG_HAIR_MODE", 7, "wrong hair mode", "`mode` is neither `card` nor `volume`."),
        _documented(
            "WRONG_HEX", 8, "wrong hex string format",
            "`hair_color` is not six hexadecimal digits, with or without a `#` before them.",
        ),
    ]
)  # fmt: skip
"""Errors of hair reconstruction."""
