from __future__ import annotations

import pytest
from pictures import FORMATS, quadrants, saved
from PIL import Image

from emulator.web.media_types import contradicts, picture_type

KINDS = {**FORMATS, "gif": "GIF"}
PICTURES = {kind: saved(Image.fromarray(quadrants()), name) for kind, name in KINDS.items()}


def box(*brands: str, length: int | None = None) -> bytes:
    """Return the first box of a file: its major brand, a version and its compatible brands."""
    main, *others = (brand.encode() for brand in brands)
    body = b"ftyp" + main + bytes(4) + b"".join(others)
    return (length or 4 + len(body)).to_bytes(4, "big") + body


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_recognised_by_its_bytes_and_contradicts_every_other_type(kind: str) -> None:
    data = PICTURES[kind]
    assert picture_type(data) == f"image/{kind}"
    assert [said for said in KINDS if not contradicts(f"image/{said}", data)] == [kind]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (None, "heic"),
        ("application/octet-stream", "heic"),
        ("image/heif", "heic"),
        ("image/heif-sequence", "heic"),
        ("IMAGE/HEIC; quality=1", "heic"),
        ("image/jpg", "jpeg"),
    ],
)
def test_an_alias_or_a_missing_type_is_no_contradiction(said: str | None, kind: str) -> None:
    assert not contradicts(said, PICTURES[kind])
    assert contradicts("image/png", PICTURES[kind])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        # What phones write, a compatible brand of HEIC, and a sequence.
        (box("heic", "mif1", "MiHE", "miaf") + b"rest", "image/heic"),
        (box("mif1", "miaf", "heix"), "image/heic"),
        (box("hevc", "msf1"), "image/heic"),
        # AVIF in the same container, and an MP4 video.
        (box("avif", "mif1", "miaf"), None),
        (box("mif1", "avif") + b"heic", None),
        (box("isom", "mp42"), None),
        # Truncated, or with an impossible length.
        (box("heic", "mif1")[:11], None),
        (box("mif1", "heic", length=2**32 - 1), "image/heic"),
        (box("heic", length=8), None),
        (b"heic", None),
        (b"", None),
    ],
    ids=range(11),
)
def test_heic_is_recognised_by_the_brands_of_the_first_box(data: bytes, found: str | None) -> None:
    assert picture_type(data) == found
