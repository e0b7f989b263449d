"""The names of the objects that ``ObjectBlobs`` stores, and the heads of the blobs."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from typing import TYPE_CHECKING

from emulator.backends.blobs.protocol import BlobKey

if TYPE_CHECKING:
    from obstore import ObjectMeta

logger = logging.getLogger(__name__)

USUAL_HEAD = 4 * 1024
"""Number of bytes to read first if only the head of a blob is needed."""

LONGEST_HEAD = 8 * 1024 * 1024
"""Longest head of a blob, in bytes. A key can contain a credential of any length."""

BLOBS, INDEX, CHECKS = "blobs", "index", "checks"
"""Folders of the blobs, of the index, and of the objects that checks write."""

NAME = re.compile(r"[0-9a-f]{64}")
"""Pattern of the names of blobs."""


def hashed(text: str) -> str:
    """Return the name of the blob under a key, or of a credential's folder in the index."""
    return hashlib.sha256(text.encode()).hexdigest()


def entry_path(credential: str, name: str) -> str:
    """Return the path of the index entry of a blob."""
    return f"{INDEX}/{hashed(credential)}/{name}"


def name_of(found: ObjectMeta) -> str:
    """Return the name of the blob that an object, or an entry of the index, is for."""
    return found["path"].rpartition("/")[2]


def head_of(key: str, credential: str) -> bytes:
    """Return the head of a blob."""
    return json.dumps({"key": key, "credential": credential}).encode() + b"\n"


def first_line(content: memoryview) -> bytes:
    """Return the first line of a blob with its end, or nothing if the blob is damaged."""
    # Most lines are short, so search a small part of the blob first, which is cheaper to copy.
    for size in (USUAL_HEAD, LONGEST_HEAD):
        line, end, _ = bytes(content[:size]).partition(b"\n")
        if end:
            return line + end
    return b""


def parsed_head(name: str, line: bytes) -> BlobKey | None:
    """Return the head of a blob, or None if the blob is damaged. A damaged blob counts as missing."""
    try:
        found = json.loads(line)
        key, credential = found["key"], found["credential"]
        is_whole = name == hashed(key) and isinstance(credential, str)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        is_whole = False
    if not is_whole:
        logger.warning("the object %s/%s is not a blob, or it is damaged; it is ignored", BLOBS, name)
        return None
    return BlobKey(key, credential)
