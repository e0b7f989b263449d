"""Registered files, their objects and their presigned URLs."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request

from emulator.backends.records import Change, Create, Record
from emulator.backends.records.purge import delete_old
from emulator.backends.stateful import Check, Oldest, Stateful, strictly
from emulator.clock import ALL_CREDENTIALS, Moment
from emulator.deferral import DeferredAdapter
from emulator.vendors.perfectcorp.files.errors import STORE
from emulator.vendors.perfectcorp.files.presigned import BUCKET, STORE_HOST, SignedRequest, presign, verify
from emulator.vendors.perfectcorp.files.wire import LegacyFile, NewFile, upload_headers
from emulator.vendors.perfectcorp.settings import HOSTS, PerfectCorpSettings
from emulator.web.call import Call, call_of
from emulator.web.headers import header_of
from emulator.world.error_catalogue import VendorError
from emulator.world.world import World

AnyFile = TypeVar("AnyFile", NewFile, LegacyFile)

FILE = "perfectcorp/file"

OBJECT = "perfectcorp/object"
"""Kind of the records that store which API key an object belongs to."""


PLAIN_HOST = re.compile(r"[A-Za-z0-9.-]{1,255}(?::\d{1,5})?")
"""Matches a host name or an IPv4 address, with or without a port."""

RESULTS = "ttl30/results"
"""The folder of results in the bucket."""

PAYLOAD_HASH = "x-amz-content-sha256"
"""Header with the hash of the body."""

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""Value of ``PAYLOAD_HASH`` in place of a hash, because the body is not known when a URL is signed."""


@dataclass(frozen=True)
class StoredFile:
    """A registered file: the key under which its bytes are stored, and the time of the registration."""

    object: str
    created_at: Moment

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StoredFile:
        """Return a file from a JSON object.

        Raises
        ------
        ValueError
            If the JSON object is not a valid file.
        """
        return strictly(_STORED_FILE, document)


_STORED_FILE = DeferredAdapter(StoredFile)


class Files(Stateful):
    """The stored records of registered files."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validators of stored files and objects."""
        return {FILE: StoredFile.from_document, OBJECT: _check_object}

    async def purge(self, oldest: Oldest) -> None:
        """Delete old files with their objects, except the files of unfinished tasks."""
        used = {
            task.request.get("file_id") for task in await self._world.tasks.list() if not task.is_finished
        }
        used.discard(None)

        async def discard(record: Record) -> None:
            key = StoredFile.from_document(record.document).object
            await self._world.blobs.delete(key)
            await self._world.records.delete(OBJECT, key)

        await delete_old(
            self._world.records,
            FILE,
            lambda record: (
                record.key not in used and record.document["created_at"] < oldest(record.credential)
            ),
            discard,
        )


def _check_object(document: Mapping[str, Any]) -> None:
    if document:
        raise ValueError("the record of an object must be empty")


async def register(
    files: Sequence[AnyFile],
    request: Request,
    world: World,
    settings: PerfectCorpSettings,
    credential: str,
) -> list[tuple[str, AnyFile, str]]:
    """Register files, and return the id, the file and the upload URL of each."""
    now = world.clock.now(credential)
    counted: Sequence[Change]
    while True:
        last, counted = await world.records.draw(world.ids.counter(FILE), credential, len(files))
        drawn = [
            _named(file, number, world, credential)
            for number, file in enumerate(files, last - len(files) + 1)
        ]
        changes: list[Change] = [*counted]
        for file_id, key in drawn:
            changes.append(Create(FILE, file_id, credential, {"object": key, "created_at": now}))
            changes.append(Create(OBJECT, key, credential, {}))
        try:
            await world.records.write(changes)
        except KeyError:
            continue  # after the restore of a snapshot without its counters, ids can be taken
        break
    registered = []
    for file, (file_id, key) in zip(files, drawn, strict=True):
        headers = {name.lower(): value for name, value in upload_headers(file).items()}
        url = sign(request, world, settings, SignedRequest("PUT", key, headers), credential)
        registered.append((file_id, file, url))
    return registered


def _named(file: NewFile | LegacyFile, number: int, world: World, credential: str) -> tuple[str, str]:
    """Return the id of the file with this ``number`` of an API key, and the key of its object."""
    kind = file.content_type.rpartition("/")[2]
    extension = kind if kind.isalnum() and kind != "jpeg" else "jpg"
    key = f"ttl30/{world.ids.nth(credential, OBJECT, number, 16).hex()}.{extension}"
    return base64.b64encode(world.ids.nth(credential, FILE, number, 48)).decode(), key


async def delete_file(world: World, file_id: str, key: str) -> None:
    """Delete a registered file and its object ``key``."""
    await world.blobs.delete(key)
    await world.records.delete(OBJECT, key)
    await world.records.delete(FILE, file_id)


def result_key(task_id: str, extension: str) -> str:
    """Return the key of the result of a task."""
    return f"{RESULTS}/{task_id}.{extension}"


async def finished_at(world: World, key: str) -> float | None:
    """Return the time at which the task of a result ended, or None if ``key`` is not the key of a result."""
    folder, _, name = key.rpartition("/")
    task = await world.tasks.find(name.partition(".")[0]) if folder == RESULTS else None
    return None if task is None else task.finished_at


async def credential_of_object(world: World, key: str) -> str | None:
    """Return the API key that an object belongs to, or None if there is no such object."""
    record = await world.records.get(OBJECT, key)
    return await world.blobs.credential_of(key) if record is None else record.credential


def sign(
    request: Request, world: World, settings: PerfectCorpSettings, signed: SignedRequest, credential: str
) -> str:
    """Return a presigned URL that allows the request ``signed``.

    The URL has the host and the port of ``request``, so that the client can reach it. But if the client calls
    the vendor's own host over TLS, the URL has the host of the vendor's own store.
    """
    base_url = f"{_base_url(request)}/{BUCKET}"
    if request.scope["scheme"] == "https" and request.url.hostname in HOSTS:
        port = request.url.port
        base_url = f"https://{STORE_HOST}" if port in {None, 443} else f"https://{STORE_HOST}:{port}"
    return presign(
        signed,
        base_url=base_url,
        secret=_secret(world),
        now=world.clock.now(credential),
        seconds=settings.url_seconds,
    )


def _base_url(request: Request) -> str:
    """Return the scheme, the host and the port that a request was sent to."""
    host = (header_of(request.scope, b"host") or b"").decode("latin-1")
    # Starlette's `base_url` also handles unusual hosts, but takes as long as signing the URL.
    return (
        f"{request.scope['scheme']}://{host}"
        if PLAIN_HOST.fullmatch(host)
        else str(request.base_url).rstrip("/")
    )


def check_signature(request: Request, call: Call, world: World, key: str) -> None:
    """Check that the query of a request has a signature that is valid for this request.

    If the URL has expired, ``call`` also gets a warning.

    Raises
    ------
    VendorError
        If the signature is missing or wrong, the URL has expired, or the request has an ``Authorization``
        header.
    """
    if "authorization" in request.headers:
        raise STORE["TwoAuthMechanisms"].occur()
    query = dict(request.query_params)
    if len(query) != len(request.query_params.multi_items()):
        raise STORE["BadSignature"].occur()
    # If a header occurs several times, use the first one.
    headers = dict(reversed(request.headers.items()))
    names = set(query.get("X-Amz-SignedHeaders", "").split(";"))
    if "X-Amz-Signature" in query:
        unsigned = [name for name in dict(request.headers) if _must_be_signed(name) and name not in names]
        if unsigned:
            raise STORE["HeadersNotSigned"].occur(names=", ".join(unsigned))
        if headers.get(PAYLOAD_HASH, UNSIGNED_PAYLOAD) != UNSIGNED_PAYLOAD:
            raise STORE["BadSignature"].occur()
    signed = {name: headers.get(name, "") for name in names - {"", "host"}}
    now = world.clock.now(call.credential or ALL_CREDENTIALS)
    try:
        verify(SignedRequest(request.method, key, signed), query, secret=_secret(world), now=now)
    except VendorError as error:
        if error.entry.name == "SignatureExpired":
            what = "result" if request.method == "GET" else "upload"
            call.warn(f"{what}-url-expired", key)
        raise


def _must_be_signed(name: str) -> bool:
    """Return whether S3 accepts this header only if the presigned URL signs it."""
    return name == "content-md5" or (name.startswith("x-amz-") and name != PAYLOAD_HASH)


def refuse_method(request: Request, world: World) -> VendorError:
    """Return the error for a request with a method that the store does not serve."""
    if request.method == "OPTIONS":
        # A complete CORS preflight does not get here, because the middleware answers it.
        sentence = (
            "Invalid Access-Control-Request-Method: null"
            if "origin" in request.headers
            else "Insufficient information. Origin request header needed."
        )
        return STORE["StoreBadRequest"].occur(sentence=sentence)
    if request.method == "DELETE":
        try:
            check_signature(request, call_of(request), world, request.path_params["key"])
        except VendorError as error:
            return error
    return STORE["StoreMethodNotAllowed"].occur(method=request.method)


def _secret(world: World) -> bytes:
    return world.ids.secret("perfectcorp/presign")
