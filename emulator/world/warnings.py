"""What a client did wrong though it got through: warnings with a stable code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CallWarning:
    """A warning about one call: its code, and what it is about."""

    code: str
    detail: str


@dataclass(frozen=True)
class WarningKind:
    """A kind of warning.

    Attributes
    ----------
    code : str
        Never changes its meaning.
    when : str
        What the client did.
    advice : str
        What it should do.
    """

    code: str
    when: str
    advice: str


WARNINGS: Mapping[str, WarningKind] = {
    code: WarningKind(code, when, advice)
    for code, when, advice in (
        (
            "polled-too-often",
            "A credential polls more often within a second than the vendor documents.",
            "Wait longer between two polls; a real account is answered 429.",
        ),
        (
            "field-dropped",
            "A member, a form field or a query parameter was sent that the vendor ignores.",
            "Look for a misspelling, or do not send it.",
        ),
        (
            "result-url-expired",
            "A result URL is used after its life.",
            "Ask for the task again: it answers with a URL that is signed anew.",
        ),
        (
            "upload-url-expired",
            "An upload URL is used after its life.",
            "Register the file again, and upload it at once.",
        ),
        (
            "upload-content-type-mismatch",
            "The bytes are a picture of another kind than the `Content-Type` says.",
            "Say what is sent: the vendor looks at the bytes today, and need not tomorrow.",
        ),
        (
            "credential-in-query",
            "A credential stands in the URL, where proxies and logs keep it.",
            "Send it in the body.",
        ),
        (
            "deprecated-path",
            "A path is called that the vendor's current documentation does not name any more.",
            "Call the path that it names.",
        ),
    )
}
"""Every warning, by code."""
