"""Media types of pictures, by their first bytes."""

from __future__ import annotations


def contradicts(content_type: str | None, data: bytes) -> bool:
    """Return whether a picture is of another kind than the ``Content-Type`` says, which may say nothing."""
    said = (content_type or "").partition(";")[0].strip().lower().replace("image/jpg", "image/jpeg")
    found = picture_type(data)
    return said.startswith("image/") and found is not None and said != found


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
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None
