"""The errors that all operations of Perfect Corp's API share, as data.

Three layers answer: the API with a JSON envelope, the engine inside a task's status, and the
object store behind the presigned URLs with XML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    """Who answers."""

    API = "api"
    ENGINE = "engine"
    STORE = "store"


@dataclass(frozen=True, kw_only=True)
class PerfectCorpEntry(CatalogueEntry):
    """One error of Perfect Corp, and how its layer tells it.

    Attributes
    ----------
    layer : Layer
        Who answers.
    code : str
        As it stands in the body; empty if it does not.
    page_code : str
        The engine's, by the table on the page.
    code_members : tuple of str
        The members of the API's envelope in which the code stands.
    """

    layer: Layer
    code: str
    page_code: str = ""
    code_members: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of either profile."""
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
    """Return an error that the API answers."""
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
            "InvalidApiKey", 401, "InvalidApiKey", "This API key is not recognized.",
            "There is no `Authorization: Bearer` header, or its key is unknown.",
            Mark.OBSERVED, "a logged answer of 2026-09", causes=(CredentialUnknown, CredentialOfOtherRegion),
        ),
        api(
            "InactiveApiKey", 401, "InactiveApiKey", "This API key is not active.", "The key is revoked.",
            Mark.CONFIRMED, "error codes page; the text is a guess", causes=(CredentialRevoked, CredentialRestricted),
        ),
        api(
            "ExpiredApiKey", 401, "ExpiredApiKey", "This API key has expired.", "The key's time is over.",
            Mark.CONFIRMED, "error codes page; the text is a guess", causes=(CredentialExpired,),
        ),
        api(
            "TooManyRequests", 429, "", "Too many requests",
            "More than 5 calls a second or 250 in 300 s, if the setting `rate_limit` is on.",
            Mark.CONFIRMED, f"{PAGE}, TooManyRequests; unit system page", code_members=(),
        ),
        api(
            "NotFound", 404, "NotFound", "The requested resource was not found.", "The path is unknown.",
            Mark.OBSERVED, "the code, in both spellings of its member; the text is a guess",
            code_members=("error_code", "errorCode"),
        ),
        api(
            "MethodNotAllowed", 405, "MethodNotAllowed", "The method is not allowed for this resource.",
            "The path is known, with another method.", Mark.GUESS, "the status is observed, the body is not",
        ),
        api(
            "InvalidParameters", 400, "InvalidParameters", "{sentence}", "A member of the body is missing or wrong.",
            Mark.OBSERVED, "logged answers of 2026, by the validator's sentence", example={"sentence": "One or more parameters in this request are invalid."},
        ),
        api(
            "InternalError", 500, "unknown_internal_error", "Server Error",
            "The emulator has a defect; its log says which.", Mark.GUESS, "by analogy",
        ),
    ]
)  # fmt: skip
"""What every operation of the API can answer."""
