"""The errors of the object store, which serves the presigned URLs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from emulator.vendors.perfectcorp.errors import Layer, PerfectCorpEntry
from emulator.world.error_catalogue import ONLY_BY_FAULT, ErrorCatalogue, Mark

_NOTHING: Mapping[str, str] = MappingProxyType({})


def _store(
    name: str,
    status: int,
    code: str,
    text: str,
    when: str,
    mark: Mark = Mark.GUESS,
    *,
    details: Mapping[str, str] = _NOTHING,
    headers: Mapping[str, str] = _NOTHING,
    example: Mapping[str, str] = _NOTHING,
    is_natural: bool = True,
    methods: tuple[str, ...] = (),
) -> PerfectCorpEntry:
    return PerfectCorpEntry(
        name,
        status,
        text,
        when,
        mark,
        "behaviour of S3 presigned URLs",
        example=example,
        is_natural=is_natural,
        methods=methods,
        layer=Layer.STORE,
        code=code,
        details=details,
        headers=headers,
    )


STORE = ErrorCatalogue(
    [
        _store(
            "TwoAuthMechanisms", 400, "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
            "parameter or the Authorization header should be specified",
            "A request to a presigned URL has an `Authorization` header.", Mark.OBSERVED,
        ),
        _store("NotSigned", 403, "AccessDenied", "Access Denied", "The URL has no signature."),
        _store(
            "HeadersNotSigned", 403, "AccessDenied",
            "There were headers present in the request which were not signed",
            "The signature of the URL does not cover a header of the request: `Content-MD5`, or a header that begins with `x-amz-` (except `x-amz-content-sha256`).",
            details={"HeadersNotSigned": "{names}"}, example={"names": "x-amz-acl"},
        ),
        _store(
            "BadSignature", 403, "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            "The URL was changed, or the method or the headers are not the signed ones.",
        ),
        _store(
            "SignatureExpired", 403, "AccessDenied", "Request has expired",
            "The URL is older than the setting `url_seconds` allows.",
        ),
        _store(
            "StoreNotImplemented", 501, "NotImplemented",
            "A header you provided implies functionality that is not implemented",
            "An upload has a `Transfer-Encoding` header, for example because the client streams a body of unknown "
            "length.",
            details={"Header": "Transfer-Encoding"},
        ),
        _store(
            "MissingContentLength", 411, "MissingContentLength", "You must provide the Content-Length HTTP header.",
            "An upload has no `Content-Length` header.",
        ),
        _store(
            "InvalidDigest", 400, "InvalidDigest", "The Content-MD5 you specified was invalid.",
            "The `Content-MD5` header of an upload is not an MD5 sum in base64. This is checked before `HeadersNotSigned`.",
            details={"Content-MD5": "{digest}"}, example={"digest": "invalid"},
        ),
        _store(
            "BadDigest", 400, "BadDigest", "The Content-MD5 you specified did not match what we received.",
            f"{ONLY_BY_FAULT}: a request with an MD5 sum in `Content-MD5` gets `HeadersNotSigned` before the sum is compared.",
            is_natural=False,
        ),
        _store(
            "RequestTimeout", 400, "RequestTimeout",
            "Your socket connection to the server was not read from or written to within the timeout period. "
            "Idle connections will be closed.",
            "An upload pauses for longer than the setting `upload_pause_s` allows.",
        ),
        _store(
            "EntityTooLarge", 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size",
            "An upload is larger than both settings `file_bytes` and `video_bytes` allow.",
        ),
        _store("NoSuchKey", 404, "NoSuchKey", "The specified key does not exist.", "The result no longer exists."),
        _store(
            "PreconditionFailed", 412, "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
            "A download has an `If-Match` or `If-Unmodified-Since` header with a condition that is not met.",
            details={"Condition": "{condition}"}, example={"condition": "If-Match"},
        ),
        _store(
            "InvalidRange", 416, "InvalidRange", "The requested range is not satisfiable",
            "The `Range` header of a download begins after the end of the object.",
            details={"RangeRequested": "{requested}", "ActualObjectSize": "{size}"},
            headers={"Content-Range": "bytes */{size}"},
            example={"requested": "bytes=99999999-", "size": "47437"},
        ),
        _store(
            "StoreError", 500, "InternalError", "We encountered an internal error. Please try again.",
            "The emulator fails unexpectedly; its log has the traceback.",
        ),
        _store(
            "StoreMethodNotAllowed", 405, "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            "The method is not GET, HEAD, PUT, DELETE or OPTIONS.",
            details={"Method": "{method}", "ResourceType": "OBJECT"}, example={"method": "POST"},
        ),
        _store(
            "StoreBadRequest", 400, "BadRequest", "{sentence}",
            "An OPTIONS request to the URL has no `Origin` or no `Access-Control-Request-Method` header.",
            example={"sentence": "Insufficient information. Origin request header needed."}, methods=("OPTIONS",),
        ),
    ]
)  # fmt: skip

_EVERYWHERE = (
    "TwoAuthMechanisms", "NotSigned", "HeadersNotSigned", "BadSignature", "SignatureExpired", "StoreError",
    "StoreMethodNotAllowed", "StoreBadRequest",
)  # fmt: skip

UPLOAD_ERRORS = STORE.only(
    *_EVERYWHERE,
    "StoreNotImplemented",
    "MissingContentLength",
    "InvalidDigest",
    "BadDigest",
    "RequestTimeout",
    "EntityTooLarge",
)
"""Errors of the operation ``upload``."""

DOWNLOAD_ERRORS = STORE.only(*_EVERYWHERE, "NoSuchKey", "PreconditionFailed", "InvalidRange")
"""Errors of the operation ``download``."""
