"""The errors of Face++, as data.

Three layers answer. A proxy in front refuses what is too long, as a page of HTML. The gateway, which
knows keys and paths, says only ``error_message``. The API behind it adds ``request_id`` and ``time_used``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from emulator.backends.fetch import FetchFailed, FetchTimedOut
from emulator.face.errors import (
    FaceError,
    ImageError,
    ImageTooLarge,
    ImageTooSmall,
)
from emulator.world.credentials import (
    CredentialExpired,
    CredentialOfOtherRegion,
    CredentialOutOfBalance,
    CredentialRestricted,
    CredentialRevoked,
    CredentialUnknown,
)
from emulator.world.error_catalogue import NEVER, CatalogueEntry, ErrorCatalogue, Mark

PAGE = "https://console.faceplusplus.com/documents/ 3D Face"


class Layer(StrEnum):
    """Who answers."""

    PROXY = "proxy"
    GATEWAY = "gateway"
    API = "api"


@dataclass(frozen=True, kw_only=True)
class FacePlusPlusEntry(CatalogueEntry):
    """One error of Face++, and the layer that answers it."""

    layer: Layer


def gateway(
    name: str,
    status: int,
    text: str,
    when: str,
    mark: Mark,
    source: str,
    causes: tuple[type[Exception], ...] = (),
) -> FacePlusPlusEntry:
    """Return an error that the gateway answers."""
    example = {"param": "api_key"}
    return FacePlusPlusEntry(
        name, status, text, when, mark, source, causes, example=example, layer=Layer.GATEWAY
    )


def api(
    name: str,
    status: int,
    text: str,
    when: str,
    mark: Mark,
    source: str,
    causes: tuple[type[Exception], ...] = (),
    *,
    is_natural: bool = True,
) -> FacePlusPlusEntry:
    """Return an error that an API answers."""
    return FacePlusPlusEntry(
        name,
        status,
        text,
        when,
        mark,
        source,
        causes,
        example={"param": "image_file_1"},
        is_natural=is_natural,
        layer=Layer.API,
    )


GATEWAY = ErrorCatalogue(
    [
        FacePlusPlusEntry(
            "REQUEST_ENTITY_TOO_LARGE", 413, "413 Request Entity Too Large", "The whole request has more than 2 MB.",
            Mark.CONFIRMED, f"{PAGE}, common errors; the page of HTML is observed", layer=Layer.PROXY,
        ),
        gateway(
            "API_NOT_FOUND", 404, "API_NOT_FOUND", "The path is unknown.",
            Mark.CONFIRMED, f"{PAGE}, common errors",
        ),
        gateway(
            "METHOD_NOT_ALLOWED", 405, "METHOD_NOT_ALLOWED", "The path is known, with another method.",
            Mark.GUESS, "no client shows it",
        ),
        gateway(
            "MISSING_CREDENTIAL", 400, "MISSING_ARGUMENTS: {param}",
            "`api_key` is not among the fields that could be parsed; or the key is there and `api_secret` is not.",
            Mark.OBSERVED, "logged answers for api_key; api_secret by analogy",
        ),
        gateway(
            "AUTHENTICATION_ERROR", 401, "AUTHENTICATION_ERROR",
            "`api_key` and `api_secret` do not match, or the key is of the other region.",
            Mark.CONFIRMED, f"{PAGE}, common errors; the other region is observed",
            (CredentialUnknown, CredentialExpired, CredentialOfOtherRegion),
        ),
        gateway(
            "DENIED_BY_CLIENT", 403, "AUTHORIZATION_ERROR: Denied by Client", "The key is restricted by its owner.",
            Mark.CONFIRMED, f"{PAGE}, common errors", (CredentialRestricted,),
        ),
        gateway(
            "DENIED_BY_ADMIN", 403, "AUTHORIZATION_ERROR: Denied by Admin", "The key is revoked.",
            Mark.CONFIRMED, f"{PAGE}, common errors", (CredentialRevoked,),
        ),
        gateway(
            "INSUFFICIENT_BALANCE", 403, "AUTHORIZATION_ERROR: Insufficient Account Balance",
            "The key's account is empty.", Mark.CONFIRMED, f"{PAGE}, common errors", (CredentialOutOfBalance,),
        ),
        gateway(
            "CONCURRENCY_LIMIT_EXCEEDED", 403, "CONCURRENCY_LIMIT_EXCEEDED",
            "The key makes more calls a second than the setting `qps` allows.",
            Mark.CONFIRMED, f"{PAGE}, common errors",
        ),
        api(
            "INTERNAL_ERROR", 500, "INTERNAL_ERROR", "The emulator has a defect; its log says which.",
            Mark.CONFIRMED, f"{PAGE}, common errors", (FaceError,),
        ),
    ]
)  # fmt: skip
"""What every API can answer: errors of the proxy, of the gateway, and of the emulator itself."""

ARGUMENTS = ErrorCatalogue(
    [
        api(
            "MISSING_ARGUMENTS", 400, "MISSING_ARGUMENTS: {param}", "There is no first image.",
            Mark.GUESS, f"{PAGE}, common errors, names the kind; the list of three follows sibling endpoints",
        ),
        api(
            "BAD_ARGUMENTS", 400, "BAD_ARGUMENTS: {param}", "`texture` or `mtl` is neither 0 nor 1.",
            Mark.CONFIRMED, f"{PAGE}, common errors",
        ),
        api(
            "COEXISTENCE_ARGUMENTS", 400, "COEXISTENCE_ARGUMENTS",
            f"{NEVER}: the three fields of an image may coexist.",
            Mark.CONFIRMED, f"{PAGE}, common errors, and the precedence of the image fields", is_natural=False,
        ),
        api(
            "INVALID_IMAGE_URL", 400, "INVALID_IMAGE_URL", "The image URL is malformed or leads nowhere.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API", (FetchFailed,),
        ),
        api(
            "IMAGE_DOWNLOAD_TIMEOUT", 412, "IMAGE_DOWNLOAD_TIMEOUT", "The image URL answers too slowly.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API", (FetchTimedOut,),
        ),
        api(
            "IMAGE_ERROR_UNSUPPORTED_FORMAT", 400, "IMAGE_ERROR_UNSUPPORTED_FORMAT: {param}",
            "The bytes cannot be decoded, or are no JPEG.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API; the space after the colon is observed", (ImageError,),
        ),
        api(
            "IMAGE_FILE_TOO_LARGE", 400, "IMAGE_FILE_TOO_LARGE: {param}", "One image has more than 2 MB.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API",
        ),
        api(
            "INVALID_IMAGE_SIZE", 400, "INVALID_IMAGE_SIZE: {param}", "A side is below 200 or above 4096 pixels.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API", (ImageTooLarge, ImageTooSmall),
        ),
    ]
)  # fmt: skip
"""Errors of arguments and images."""
