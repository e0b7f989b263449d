"""A curl command that repeats a recorded call."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from face_api_emulator.client.models import RecordedCall

MASKED = re.compile(r"[^\s\"'&=]{0,3}…#[0-9a-f]{8}")
"""A masked secret in the journal: its first characters, and a digest."""

UNKNOWN = "SECRET"
"""Placeholder for a secret that the journal masks."""

SET_BY_CURL = {"host", "content-length", "accept-encoding", "connection", "transfer-encoding", "user-agent"}


def curl(call: RecordedCall, base_url: str, credential: str | None = None) -> str:
    """Return a command that sends a call to an emulator again.

    The journal does not contain pictures, so the command has the name of the file that the client sent.

    Parameters
    ----------
    call : RecordedCall
        The call.
    base_url : str
        URL of the emulator.
    credential : str or None
        Credential that the client sent, which is masked in the call. Other masked secrets become ``SECRET``.
    """
    query = f"?{urlencode(call.query)}" if call.query else ""
    words = ["curl", "-X", call.method, f"{base_url}{call.path}{query}"]
    is_multipart = (call.sent or {}).get("kind") == "multipart"
    for name, value in call.request_headers:
        lowered = name.lower()
        # curl generates its own boundary.
        if lowered not in SET_BY_CURL and not (is_multipart and lowered == "content-type"):
            words += ["-H", f"{name}: {value}"]
    words += _body(call.sent or {})
    return shlex.join(_unmasked(word, credential) for word in words)


def _body(sent: Mapping[str, Any]) -> list[str]:
    match sent.get("kind"):
        case "multipart":
            return [word for name, value in _fields(sent) for word in ("-F", f"{name}={_part(value)}")]
        case "form":
            return [word for name, value in _fields(sent) for word in ("--data-urlencode", f"{name}={value}")]
        case "json":
            return ["--data", json.dumps(sent["json"], ensure_ascii=False)]
        case "text":
            return ["--data-raw", str(sent["text"])]
        case "binary":
            return ["--data-binary", "@FILE"]
    return []


def _fields(sent: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each field. A field with several values is yielded once for each value."""
    for name, given in sent["fields"].items():
        for value in given if isinstance(given, list) else [given]:
            yield name, value


def _part(value: Any) -> str:
    return str(value) if not isinstance(value, Mapping) else f"@{value.get('file_name') or 'FILE'}"


def _unmasked(text: str, credential: str | None) -> str:
    """Replace each masked secret with the credential if the digests are equal, otherwise with ``SECRET``."""
    digest = hashlib.sha256((credential or "").encode()).hexdigest()[:8]

    def secret(found: re.Match[str]) -> str:
        return credential if credential and found[0].endswith(f"#{digest}") else UNKNOWN

    # A URL can contain a masked signature in percent encoding.
    return MASKED.sub(secret, text.replace("%E2%80%A6%23", "…#"))
