"""Media types of pictures, by their first bytes."""

from __future__ import annotations

OTHER_NAMES = {
    "image/jpg": "image/jpeg",
    # HEIF is the container; clients name either.
    "image/heif": "image/heic",
    "image/heic-sequence": "image/heic",
    "image/heif-sequence": "image/heic",
}
"""Media types that say the same as another one."""

HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
"""Of a container for pictures, those that say that HEVC is in it: others hold AV1."""

LONGEST_BOX = 256
"""How far brands are looked for: whoever writes the file says how many there are."""


def contradicts(content_type: str | None, data: bytes) -> bool:
    """Return whether a picture is of another kind than the ``Content-Type`` says, which may say nothing."""
    said = (content_type or "").partition(";")[0].strip().lower()
    found = picture_type(data)
    return said.startswith("image/") and found is not None and OTHER_NAMES.get(said, said) != found


def picture_type(data: bytes) -> str | None:
    """Return the media type of a picture by its first bytes, or None if they are of no kind that is known."""
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
    """Return what a file says it is, in its first box: its brand, and after a version those that fit too."""
    box = data[: min(int.from_bytes(data[:4], "big"), LONGEST_BOX)]
    return [box[begin : begin + 4] for begin in (8, *range(16, len(box), 4))]
