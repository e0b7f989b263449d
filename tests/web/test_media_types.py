from __future__ import annotations

import pytest
from pictures import FORMATS, quadrants, saved
from PIL import Image

from emulator.web.media_types import contradicts, picture_type

KINDS = {**FORMATS, "gif": "GIF"}
PICTURES = {kind: saved(Image.fromarray(quadrants()), name) for kind, name in KINDS.items()}


def box(*brands: str, length: int | None = None) -> bytes:
    """Return the first box of a file: its main brand, a version, and others."""
    main, *others = (brand.encode() for brand in brands)
    body = b"ftyp" + main + bytes(4) + b"".join(others)
    return (length or 4 + len(body)).to_bytes(4, "big") + body


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_told_by_its_bytes_and_contradicts_every_other_kind(kind: str) -> None:
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
def test_another_name_or_none_is_no_contradiction(said: str | None, kind: str) -> None:
    assert not contradicts(said, PICTURES[kind])
    assert contradicts("image/png", PICTURES[kind])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        # What telephones write, and what says it only among the others.
        (box("heic", "mif1", "MiHE", "miaf") + b"rest", "image/heic"),
        (box("mif1", "miaf", "heix"), "image/heic"),
        (box("hevc", "msf1"), "image/heic"),
        # Another codec in the same container, and a film.
        (box("avif", "mif1", "miaf"), None),
        (box("mif1", "avif") + b"heic", None),
        (box("isom", "mp42"), None),
        # Cut off, or with a length that cannot be.
        (box("heic", "mif1")[:11], None),
        (box("mif1", "heic", length=2**32 - 1), "image/heic"),
        (box("heic", length=8), None),
        (b"heic", None),
        (b"", None),
    ],
    ids=range(11),
)
def test_heic_is_told_by_the_brands_of_the_first_box(data: bytes, found: str | None) -> None:
    assert picture_type(data) == found
