"""Detects the kind and the properties of a file."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import Any, Final

from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

SHORTEST_BASE64: Final = 64
"""Shortest base64 text, in characters, that can be a file. Shorter texts are often ids."""

LONG_BASE64: Final = 512
"""Shortest base64 text, in characters, that counts as a file even if its kind is unknown."""

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
_BEGINNINGS: Final = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png", b"glTF": "glb"}
_STATEMENT = re.compile(r"^([A-Za-z_]+)[ \t]", re.MULTILINE)


def describe_file(data: bytes) -> dict[str, Any]:
    """Return the kind of a file in ``$file``, and properties of the file.

    Pictures have ``width`` and ``height``. OBJ and MTL files have the ``statements`` that they use. The kind
    can also be ``unknown``.
    """
    kind = next((kind for beginning, kind in _BEGINNINGS.items() if data.startswith(beginning)), None)
    if kind in {"jpeg", "png"}:
        try:
            with PillowImage.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as opened:
                return {"$file": kind, "width": opened.width, "height": opened.height}
        except (UnidentifiedImageError, OSError, ValueError, PillowImage.DecompressionBombError):
            return {"$file": f"damaged {kind}"}
    if kind is not None:
        return {"$file": kind}
    statements = set(_STATEMENT.findall(data.decode("latin-1")))
    if "newmtl" in statements:
        return {"$file": "mtl", "statements": sorted(statements)}
    if {"v", "f"} <= statements:
        return {"$file": "obj", "statements": sorted(statements)}
    return {"$file": "unknown"}


def in_base64(text: str) -> bytes | None:
    """Return the decoded bytes if a text is a file in base64. Otherwise return None."""
    if len(text) < SHORTEST_BASE64 or not _BASE64.fullmatch(text):
        return None
    try:
        data = base64.b64decode(text)
    except binascii.Error:
        return None
    return data if len(text) >= LONG_BASE64 or describe_file(data)["$file"] != "unknown" else None
