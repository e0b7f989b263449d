"""Warnings about mistakes of a client that the vendor tolerates, each with a stable code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class CallWarning:
    """A warning about one call: its code, and the detail that caused it."""

    code: str
    detail: str


@dataclass(frozen=True)
class WarningKind:
    """A kind of warning."""

    code: Annotated[str, Field(description="Stable identifier.")]
    when: Annotated[str, Field(description="What the client did, as a sentence without a subject.")]
    advice: Annotated[str, Field(description="What the client should do instead.")]


WARNINGS: Mapping[str, WarningKind] = {
    code: WarningKind(code, when, advice)
    for code, when, advice in (
        (
            "polled-too-often",
            "Polls faster with one credential than the documented rate limit allows.",
            "Wait longer between two polls. The real API answers 429.",
        ),
        (
            "field-dropped",
            "Sends a member, form field or query parameter that the vendor ignores.",
            "Check its spelling, or omit it.",
        ),
        (
            "result-url-expired",
            "Uses a result URL that has expired.",
            "Poll the task again: the response has a newly signed URL.",
        ),
        (
            "upload-url-expired",
            "Uses an upload URL that has expired.",
            "Register the file again, and upload it at once.",
        ),
        (
            "upload-content-type-mismatch",
            "Sends a picture whose type differs from the `Content-Type`.",
            "Send the right `Content-Type`. Do not rely on the vendor to detect the type from the bytes.",
        ),
        (
            "credential-in-query",
            "Sends a credential in the URL, which proxies and logs store.",
            "Send it in the body.",
        ),
        (
            "proxy-refused",
            "Uses the emulator as a proxy for a host that it does not serve.",
            "Check the host. To let other hosts pass, set FACE_EMULATOR_PROXY_OTHERS=true.",
        ),
        (
            "form-not-portable",
            "Sends a multipart form that many servers read differently or refuse.",
            "Use CRLF, omit `Content-Transfer-Encoding`, and send `filename` instead of `filename*`.",
        ),
        (
            "deprecated-path",
            "Calls a path that the vendor's current documentation no longer contains.",
            "Call the documented path.",
        ),
    )
}
"""All kinds of warnings, by code."""
