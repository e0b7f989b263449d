"""Warnings about mistakes of a client that the response does not show clearly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

MOST_OF_A_KIND: Final = 20
"""Number of warnings of one kind that a call lists. Further ones are only counted."""

DETAIL_CHARACTERS: Final = 500
"""Longest detail of a warning, in characters. Longer ones are cut."""


@dataclass(frozen=True)
class CallWarning:
    """A warning about one call: the code of its kind, and what is wrong in this call.

    ``count`` is the number of warnings that this one stands for.
    """

    code: str
    detail: str
    count: int = 1


class CallWarnings:
    """The warnings about one call. A request with many mistakes of one kind does not make a long list."""

    __slots__ = ("_counts", "_listed")

    def __init__(self) -> None:
        self._listed: list[CallWarning] = []
        self._counts: dict[str, int] = {}

    def add(self, code: str, detail: str, count: int = 1) -> None:
        """Add ``count`` warnings. ``detail`` is cut after ``DETAIL_CHARACTERS``."""
        counted = self._counts[code] = self._counts.get(code, 0) + count
        if counted <= MOST_OF_A_KIND:
            self._listed.append(CallWarning(code, detail[:DETAIL_CHARACTERS]))

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __iter__(self) -> Iterator[CallWarning]:
        yield from self._listed
        for code, count in self._counts.items():
            more = count - MOST_OF_A_KIND
            if more > 0:
                yield CallWarning(code, f"{more} more warnings of this kind", more)


@dataclass(frozen=True)
class WarningKind:
    """A kind of warning."""

    code: Annotated[str, Field(description="Identifier, which is the same in all versions.")]
    when: Annotated[
        str, Field(description="What the client does. The sentence begins with a verb, such as `Sends`.")
    ]
    advice: Annotated[str, Field(description="What the client should do instead.")]


WARNINGS: Mapping[str, WarningKind] = {
    code: WarningKind(code, when, advice)
    for code, when, advice in (
        (
            "polled-too-often",
            "Polls with one credential more often than the documented rate limit allows.",
            "Wait longer between two polls. The real API answers 429 to such polls.",
        ),
        (
            "field-dropped",
            "Sends a member, form field or query parameter that the vendor ignores.",
            "Correct its spelling, or omit it.",
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
            "Sends a picture with a `Content-Type` that is not the picture's type.",
            "Send the right `Content-Type`. Do not rely on the vendor to detect the type from the bytes.",
        ),
        (
            "credential-in-query",
            "Sends a credential in the URL. Proxies and logs store URLs.",
            "Send it in the body.",
        ),
        (
            "proxy-refused",
            "Uses the emulator as a proxy for a host that it does not serve.",
            "Check the host. To allow connections to other hosts, set FACE_EMULATOR_PROXY_OTHERS=true.",
        ),
        (
            "request-refused",
            "Sends a request that the HTTP server refuses before a vendor sees it.",
            "See the detail: headers are too large, late or malformed, or `Host` differs from the TLS name.",
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
