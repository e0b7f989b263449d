"""Limits on the structure of a picture's file, which are checked before Pillow reads the file.

A small file can keep a decoder busy for minutes. Computing the work in advance takes milliseconds.
"""

from __future__ import annotations

import re
from typing import Final

from emulator.face.errors import ImageUndecodable

MOST_SIDE: Final = 65_535
"""Longest side of any picture, in pixels: the limit of JPEG. Every row takes time, so a column of 50
million pixels would take longer than any photograph."""

MOST_SCANS: Final = 100
"""Largest number of scans of a JPEG. Programs write 1 to 14."""

MOST_SCANNED_PIXELS: Final = 2_000_000_000
"""Largest number of scans times the number of pixels of a JPEG, because every scan visits every pixel. A
photograph of 50 million pixels and 14 scans has 700 million."""

MOST_SEGMENTS: Final = 10_000
"""Largest number of segments of a JPEG, plus bytes between them. Large photographs have a few hundred."""

MOST_TAGS: Final = 1_000
"""Number of tags of an ICC profile to look at. LittleCMS reads no profile with more than 100."""

# ICC.1:2022, 10.16: multiProcessElementsType.
_PROCESS_ELEMENTS: Final = b"mpet"

# ITU-T T.81, B.1.1.2 and table B.1: a marker is 0xFF and a byte that is neither 0 nor 0xFF. Restart markers
# are part of a scan. 0xFF bytes before a marker are padding.
_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_START_OF_SCAN: Final = 0xDA
_END: Final = 0xD9
_WITHOUT_LENGTH: Final = {0x01, 0xD8}
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def check_jpeg(data: bytes) -> None:
    """Check that a JPEG does not have too many scans or segments. Later pictures of the file do not count.

    Raises
    ------
    ImageUndecodable
    """
    place, segments, scans, pixels = 2, 0, 0, 1
    while (found := _MARKER.search(data, place)) is not None:
        marker, after = data[found.start() + 1], found.end()
        if marker == _END:
            return
        segments += 1 if scans else 1 + found.start() - place
        if segments > MOST_SEGMENTS:
            raise ImageUndecodable(f"it has more than {MOST_SEGMENTS} segments")
        if marker in _FRAMES:
            height, width = (int.from_bytes(data[after + at : after + at + 2], "big") for at in (3, 5))
            pixels = max(pixels, width * height)
        scans += marker == _START_OF_SCAN
        if scans > MOST_SCANS or (scans > 1 and scans * pixels > MOST_SCANNED_PIXELS):
            raise ImageUndecodable(f"it has {scans} scans or more")
        place = after
        if marker not in _WITHOUT_LENGTH:
            place += int.from_bytes(data[after : after + 2], "big")


def has_process_elements(profile: bytes) -> bool:
    """Return whether an ICC profile contains a chain of processing elements.

    Hardly any photograph has such a profile. A chain can be so long that a conversion takes minutes, although
    the profile is small.
    """
    # ICC.1:2022, 7.3: the number of tags at byte 128, then 12 bytes for each: signature, offset and size.
    count = int.from_bytes(profile[128:132], "big")
    table = profile[132 : 132 + 12 * min(count, MOST_TAGS)]
    offsets = (int.from_bytes(table[place + 4 : place + 8], "big") for place in range(0, len(table), 12))
    return any(profile[offset : offset + 4] == _PROCESS_ELEMENTS for offset in offsets)
