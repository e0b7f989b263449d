"""The errors that all operations of Perfect Corp's API share.

Three parts of the vendor's service return errors. The API returns JSON. The object store, which serves the
presigned URLs, returns XML. The engine performs the tasks; a poll returns the engine's error in the status of the
task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from emulator.world.credentials import (
    CredentialExpired,
    CredentialOfOtherRegion,
    CredentialRestricted,
    CredentialRevoked,
    CredentialUnknown,
)
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, Mark

PAGE = "https://docs.perfectcorp.com/reference/ai_face_reshape"
GUIDE = "https://docs.perfectcorp.com/develop/debugging_guide"


class Layer(StrEnum):
    """A part of the vendor's service that returns errors."""

    API = "api"
    ENGINE = "engine"
    STORE = "store"


@dataclass(frozen=True, kw_only=True)
class PerfectCorpEntry(CatalogueEntry):
    """One error of Perfect Corp.

    Attributes
    ----------
    layer : Layer
        The part of the service that returns the error.
    code : str
        The code in the response body; empty if the body has no code.
    page_code : str
        For errors of the engine, the code in the table of the vendor's reference page.
    code_members : tuple of str
        The members of the JSON body that contain the code.
    details : mapping of str to str
        For errors of the store, further elements of the XML body. Like the text, they can have placeholders.
    headers : mapping of str to str
        Additional response headers. Their values can have placeholders, too.
    """

    layer: Layer
    code: str
    page_code: str = ""
    code_members: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def codes(self) -> tuple[str, ...]:
        """All codes of the error. If there are two, the setting ``engine_codes`` selects one."""
        return tuple(code for code in (self.code, self.page_code) if code)


def api(
    name: str,
    status: int,
    code: str,
    text: str,
    when: str,
    mark: Mark,
    source: str,
    *,
    causes: tuple[type[Exception], ...] = (),
    code_members: tuple[str, ...] = ("error_code",),
    example: Mapping[str, str] = MappingProxyType({}),
    is_natural: bool = True,
) -> PerfectCorpEntry:
    """Return an error of the API."""
    return PerfectCorpEntry(
        name,
        status,
        text,
        when,
        mark,
        source,
        causes,
        example=example,
        is_natural=is_natural,
        layer=Layer.API,
        code=code,
        code_members=code_members,
    )


SHARED = ErrorCatalogue(
    [
        api(
            "TooManyRequests", 429, "", "Too many requests",
            "The setting `rate_limit` is on, and a key or an IP address makes more than 5 calls per second or more than 250 "
            "calls per 300 seconds.",
            Mark.CONFIRMED, f"{PAGE}, TooManyRequests; unit system page", code_members=(),
        ),
        api(
            "NotFound", 404, "NotFound", "The requested resource was not found.", "The path does not exist.",
            Mark.OBSERVED, "the code is in `error_code` and in `errorCode`; the text is a guess",
            code_members=("error_code", "errorCode"),
        ),
        api(
            "MethodNotAllowed", 405, "MethodNotAllowed", "The method is not allowed for this resource.",
            "The path exists, but not for this method.", Mark.GUESS, "the status is observed, the body is not",
        ),
        api(
            "InvalidParameters", 400, "InvalidParameters", "{sentence}",
            "The body is not JSON or is larger than 1 MiB, or one of its members or a query parameter is missing or invalid.",
            Mark.OBSERVED, "logged responses of 2026; the text is the validator's message",
            example={"sentence": "One or more parameters in this request are invalid."},
        ),
        api(
            "InternalError", 500, "unknown_internal_error", "Server Error",
            "The emulator fails unexpectedly; its log has the traceback.", Mark.GUESS, "by analogy",
        ),
    ]
)  # fmt: skip
"""Errors that every operation of the API can return."""

V2 = ErrorCatalogue(
    [
        api(
            "InvalidApiKey", 401, "InvalidApiKey", "This API key is not recognized.",
            "The request has no `Authorization: Bearer` header, the key has the state `other_region`, or the setting `strict` is "
            "on and the key has no state.",
            Mark.OBSERVED, "a logged response of 2026-09", causes=(CredentialUnknown, CredentialOfOtherRegion),
        ),
        api(
            "InactiveApiKey", 401, "InactiveApiKey", "This API key is not active.",
            "The key is revoked or restricted (state `revoked` or `restricted`).", Mark.CONFIRMED, "error codes page; the text is a guess",
            causes=(CredentialRevoked, CredentialRestricted),
        ),
        api(
            "ExpiredApiKey", 401, "ExpiredApiKey", "This API key has expired.", "The key has expired (state `expired`).",
            Mark.CONFIRMED, "error codes page; the text is a guess", causes=(CredentialExpired,),
        ),
    ]
) | SHARED  # fmt: skip
"""Errors that every operation under the v2 paths can return."""

V1 = SHARED | ErrorCatalogue(
    [
        api(
            "InvalidAccessToken", 401, "InvalidAccessToken", "Unauthorized",
            "The key or access token is missing or not valid. Paths under v2 return other errors for this.", Mark.CONFIRMED, "unit API",
        ),
    ]
)  # fmt: skip
"""Errors that operations under the v1.0 and v1.1 paths can return."""
