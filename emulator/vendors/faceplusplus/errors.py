"""The errors that all APIs of Face++ share.

Three parts of the vendor's service return errors. A proxy refuses long requests with an HTML page. A
gateway checks paths and keys; its error responses have only ``error_message``. Error responses of the API
behind the gateway also have ``request_id`` and ``time_used``.
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
from emulator.world.error_catalogue import ONLY_BY_FAULT, CatalogueEntry, ErrorCatalogue, Mark

PAGE = "https://console.faceplusplus.com/documents/ 3D Face"


class Layer(StrEnum):
    """A part of the vendor's service that returns errors."""

    PROXY = "proxy"
    GATEWAY = "gateway"
    API = "api"


@dataclass(frozen=True, kw_only=True)
class FacePlusPlusEntry(CatalogueEntry):
    """One error of Face++. ``layer`` is the part of the service that returns it."""

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
    """Return an error of the gateway."""
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
    param: str = "image_file_1",
) -> FacePlusPlusEntry:
    """Return an error of an API. An injected error has ``param`` as the name of its field."""
    return FacePlusPlusEntry(
        name,
        status,
        text,
        when,
        mark,
        source,
        causes,
        example={"param": param},
        is_natural=is_natural,
        layer=Layer.API,
    )


GATEWAY = ErrorCatalogue(
    [
        FacePlusPlusEntry(
            "REQUEST_ENTITY_TOO_LARGE", 413, "413 Request Entity Too Large", "The request body is larger than the operation allows.",
            Mark.CONFIRMED, f"{PAGE}, common errors; the HTML page is observed", layer=Layer.PROXY,
        ),
        gateway(
            "API_NOT_FOUND", 404, "API_NOT_FOUND", "The path does not exist.",
            Mark.CONFIRMED, f"{PAGE}, common errors",
        ),
        gateway(
            "METHOD_NOT_ALLOWED", 405, "METHOD_NOT_ALLOWED", "The path exists, but not for this method.",
            Mark.GUESS, "not published, and not seen in any client",
        ),
        gateway(
            "MISSING_CREDENTIAL", 400, "MISSING_ARGUMENTS: {param}",
            "`api_key` or `api_secret` is missing, or the body cannot be parsed.",
            Mark.OBSERVED, "logged responses for api_key; api_secret by analogy",
        ),
        gateway(
            "AUTHENTICATION_ERROR", 401, "AUTHENTICATION_ERROR",
            "The key has the state `expired` or `other_region`, or the setting `strict` is on and neither `api_key` nor `api_key:api_secret` has a state.",
            Mark.CONFIRMED, f"{PAGE}, common errors; the other region is observed; expired and unknown keys are a guess",
            (CredentialUnknown, CredentialExpired, CredentialOfOtherRegion),
        ),
        gateway(
            "DENIED_BY_CLIENT", 403, "AUTHORIZATION_ERROR: Denied by Client",
            "The account holder restricted the key (state `restricted`).", Mark.CONFIRMED, f"{PAGE}, common errors", (CredentialRestricted,),
        ),
        gateway(
            "DENIED_BY_ADMIN", 403, "AUTHORIZATION_ERROR: Denied by Admin", "The key is revoked (state `revoked`).",
            Mark.CONFIRMED, f"{PAGE}, common errors", (CredentialRevoked,),
        ),
        gateway(
            "INSUFFICIENT_BALANCE", 403, "AUTHORIZATION_ERROR: Insufficient Account Balance",
            "The key's account has no balance (state `no_balance`).", Mark.CONFIRMED, f"{PAGE}, common errors", (CredentialOutOfBalance,),
        ),
        gateway(
            "CONCURRENCY_LIMIT_EXCEEDED", 403, "CONCURRENCY_LIMIT_EXCEEDED",
            "The key makes more calls per second than the setting `qps` allows.",
            Mark.CONFIRMED, f"{PAGE}, common errors",
        ),
        api(
            "INTERNAL_ERROR", 500, "INTERNAL_ERROR", "The emulator fails unexpectedly; its log has the traceback.",
            Mark.CONFIRMED, f"{PAGE}, common errors", (FaceError,),
        ),
    ]
)  # fmt: skip
"""Errors that all APIs can return."""

ARGUMENTS = ErrorCatalogue(
    [
        api(
            "MISSING_ARGUMENTS", 400, "MISSING_ARGUMENTS: {param}", "A required field is missing. The text names it, or all fields in which a photo can be sent.",
            Mark.CONFIRMED, f"{PAGE}, common errors; the three fields of a photo in the text are by analogy with the page of Detect",
        ),
        api(
            "BAD_ARGUMENTS", 400, "BAD_ARGUMENTS: {param}", "The field that the text names has an invalid value.",
            Mark.CONFIRMED, f"{PAGE}, common errors",
        ),
        api(
            "COEXISTENCE_ARGUMENTS", 400, "COEXISTENCE_ARGUMENTS",
            f"{ONLY_BY_FAULT}, because a request can send one image in several fields.",
            Mark.CONFIRMED, f"{PAGE}, common errors, and the precedence of the image fields", is_natural=False,
        ),
        api(
            "INVALID_IMAGE_URL", 400, "INVALID_IMAGE_URL", "The image URL is malformed or cannot be downloaded.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API", (FetchFailed,),
        ),
        api(
            "IMAGE_DOWNLOAD_TIMEOUT", 412, "IMAGE_DOWNLOAD_TIMEOUT",
            "The download of the image takes longer than the setting `download_timeout_s` allows.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API", (FetchTimedOut,),
        ),
        api(
            "IMAGE_ERROR_UNSUPPORTED_FORMAT", 400, "IMAGE_ERROR_UNSUPPORTED_FORMAT: {param}",
            "The image cannot be decoded, or its format is not allowed.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API; the space after the colon is observed", (ImageError,),
        ),
        api(
            "IMAGE_FILE_TOO_LARGE", 400, "IMAGE_FILE_TOO_LARGE: {param}", "An image is larger than 2 MiB, although the request body is not too large. This can happen if the image comes from a URL, and with Beautify, which accepts larger request bodies.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API",
        ),
        api(
            "INVALID_IMAGE_SIZE", 400, "INVALID_IMAGE_SIZE: {param}",
            "A side of the image is shorter or longer than the operation allows.",
            Mark.CONFIRMED, f"{PAGE}, errors of this API", (ImageTooLarge, ImageTooSmall),
        ),
    ]
)  # fmt: skip
"""Errors about the fields and the images of a request."""
