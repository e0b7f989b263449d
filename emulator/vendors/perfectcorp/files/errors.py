"""The errors of the object store behind the presigned URLs."""

from __future__ import annotations

from emulator.vendors.perfectcorp.errors import Layer, PerfectCorpEntry
from emulator.world.error_catalogue import ErrorCatalogue, Mark


def _store(
    name: str,
    status: int,
    code: str,
    text: str,
    when: str,
    mark: Mark = Mark.GUESS,
) -> PerfectCorpEntry:
    source = "behaviour of S3 presigned URLs"
    return PerfectCorpEntry(name, status, text, when, mark, source, layer=Layer.STORE, code=code)


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
            "BadSignature", 403, "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            "The URL was changed, or the headers differ from the signed ones.",
        ),
        _store(
            "SignatureExpired", 403, "AccessDenied", "Request has expired",
            "The URL is older than `url_seconds` allows.",
        ),
        _store(
            "MissingContentLength", 411, "MissingContentLength", "You must provide the Content-Length HTTP header.",
            "An upload has no `Content-Length` header.",
        ),
        _store("NoSuchKey", 404, "NoSuchKey", "The specified key does not exist.", "The object no longer exists."),
        _store(
            "StoreError", 500, "InternalError", "We encountered an internal error. Please try again.",
            "The emulator fails unexpectedly; its log has the traceback.",
        ),
        _store(
            "StoreMethodNotAllowed", 405, "MethodNotAllowed",
            "The specified method is not allowed against this resource.", "The method is neither PUT nor GET.",
        ),
    ]
)  # fmt: skip
