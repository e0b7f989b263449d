"""Detection of a picture's media type from its first bytes."""

from __future__ import annotations

OTHER_NAMES = {
    "image/jpg": "image/jpeg",
    # HEIF is the container of HEIC; clients use either name.
    "image/heif": "image/heic",
    "image/heic-sequence": "image/heic",
    "image/heif-sequence": "image/heic",
}
"""Other names of media types, each with the name that this module uses."""

HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
"""Brands of HEIF files with the codec HEVC. Other brands stand for other codecs, such as AV1."""

LONGEST_BOX = 256
"""Largest number of bytes to search for brands. A limit is needed, as the length in the file may be wrong."""


def contradicts(content_type: str | None, data: bytes) -> bool:
    """Return whether ``content_type`` is a picture type, but not the type of the picture in ``data``."""
    said = (content_type or "").partition(";")[0].strip().lower()
    found = picture_type(data)
    return said.startswith("image/") and found is not None and OTHER_NAMES.get(said, said) != found


def picture_type(data: bytes) -> str | None:
    """Return the media type of a picture from its first bytes, or None if it is unknown."""
    for magic, media_type in (
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF8", "image/gif"),
        (b"BM", "image/bmp"),
    ):
        if data.startswith(magic):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/heic" if data[4:8] == b"ftyp" and not HEIC_BRANDS.isdisjoint(_brands(data)) else None


def _brands(data: bytes) -> list[bytes]:
    """Return the brands in the first box of a HEIF file.

    The major brand is at byte 8. The compatible brands begin at byte 16, after the minor version.
    """
    box = data[: min(int.from_bytes(data[:4], "big"), LONGEST_BOX)]
    return [box[begin : begin + 4] for begin in (8, *range(16, len(box), 4))]
