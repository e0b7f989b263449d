"""Routes for the whole bodies of recorded calls: keep them, read their pictures, and send a call again."""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import unquote, unquote_to_bytes

import anyio
from fastapi import APIRouter, HTTPException, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import Message

from emulator.web.capture.content import BLOB
from emulator.web.exchange import ConnectionDropped
from emulator.web.media_types import picture_type
from emulator.world.journal.bodies import Bodies, RawCall
from emulator.world.journal.entry import RecordedCall
from emulator.world.world import World

MOST_BYTES = 1024 * 1024 * 1024

Number = Annotated[int, Path(description="Number of the call.")]


class KeptBodies(BaseModel):
    """The limit for kept bodies, and the calls whose bodies are kept."""

    limit: int = Field(description="Largest total size of the kept bodies, in bytes; 0 if none are kept.")
    held_bytes: int = Field(description="Approximate total size of the kept bodies, in bytes.")
    calls: list[int] = Field(description="Numbers of the calls whose bodies are kept, oldest first.")


class BodyLimit(BaseModel):
    """The limit for kept bodies."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(
        ge=0,
        le=MOST_BYTES,
        description="Largest total size of the kept bodies, in bytes. The oldest bodies are deleted first. "
        "With 0, all kept bodies are deleted, and no new ones are kept.",
    )


def bodies_router(world: World) -> APIRouter:
    """Return the routes for the bodies of calls."""
    router = APIRouter(tags=["journal"])
    bodies = world.bodies

    @router.get("/calls/bodies")
    async def get_kept_bodies() -> KeptBodies:
        """List the calls whose bodies are kept."""
        return _described(bodies)

    @router.put("/calls/bodies")
    async def keep_bodies(wanted: BodyLimit) -> KeptBodies:
        """Keep the bodies of calls in memory.

        By default, the journal contains only the digests of pictures. With a limit above 0, the emulator also
        keeps the whole request and the whole response of each new call, including pictures and secrets. They
        are never written to disk.
        """
        bodies.set_limit(wanted.limit)
        return _described(bodies)

    @router.get(
        "/calls/{number:call}/bytes/{sha256}",
        response_class=Response,
        responses={
            200: {"content": {"application/octet-stream": {}}},
            404: {"description": "No such bytes."},
        },
    )
    async def get_bytes(
        number: Number,
        sha256: Annotated[str, Path(description="SHA-256 digest of the bytes, as in the call.")],
    ) -> Response:
        """Return a picture or file of a call.

        A recorded call contains a digest instead of each picture, file or long base64 text. This route
        returns the bytes for a digest, if the emulator has kept the bodies of the call.
        """
        await world.journal.catch_up()
        found = await _find_bytes(_kept(bodies, number), sha256)
        if found is None:
            raise HTTPException(404, f"call {number} has no bytes with the digest {sha256}")
        media_type = picture_type(found) or "application/octet-stream"
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        return Response(found, media_type=media_type, headers=headers)

    @router.post("/calls/{number:call}/replay", responses={409: {"description": "The journal is off."}})
    async def replay_call(request: Request, number: Number) -> RecordedCall:
        """Send a call again.

        The emulator sends itself a request with the same method, path, headers and body, as if the client had
        repeated the call. The response contains the new call. The bodies of the call must have been kept: see
        `PUT /_emulator/calls/bodies`.
        """
        await world.journal.catch_up()
        repeated = await _send_again(request.app, _kept(bodies, number))
        entry = None if repeated is None else await world.journal.get(repeated)
        if entry is None:
            raise HTTPException(409, "the repeated call was not recorded")
        return entry

    return router


def _described(bodies: Bodies) -> KeptBodies:
    return KeptBodies(limit=bodies.limit, held_bytes=bodies.held_bytes, calls=bodies.numbers)


def _kept(bodies: Bodies, number: int) -> RawCall:
    call = bodies.get(number)
    if call is None:
        raise HTTPException(
            404,
            f"the bodies of call {number} are not kept; PUT /_emulator/calls/bodies keeps those of new calls",
        )
    return call


async def _find_bytes(call: RawCall, sha256: str) -> bytes | None:
    """Return the bytes in a call with the digest ``sha256``, or None if there are none."""
    wanted = sha256.lower()
    sent, answer = bytes(call.sent), bytes(call.answer)
    async for each in _files(call, sent):
        if hashlib.sha256(each).hexdigest() == wanted:
            return each
    return await anyio.to_thread.run_sync(_search, wanted, sent, answer)


async def _files(call: RawCall, sent: bytes) -> AsyncIterator[bytes]:
    """Yield the files of a multipart form."""
    headers = dict(call.scope["headers"])
    if not headers.get(b"content-type", b"").startswith(b"multipart/form-data"):
        return

    async def receive() -> Message:
        return {"type": "http.request", "body": sent, "more_body": False}

    with contextlib.suppress(MultiPartException):  # a malformed form has no files to show
        async with Request({"type": "http", **call.scope}, receive).form() as form:
            for _, value in form.multi_items():
                if isinstance(value, UploadFile):
                    yield await value.read()


def _search(wanted: str, sent: bytes, answer: bytes) -> bytes | None:
    """Return the body, or the decoded base64 in a body, that has the digest ``wanted``."""
    for body in (sent, answer):
        if hashlib.sha256(body).hexdigest() == wanted:
            return body
        texts = [found[0].strip(b'"') for found in BLOB.finditer(body)]
        # A field of a form can be base64, too.
        texts += [unquote_to_bytes(pair.partition(b"=")[2].replace(b"+", b" ")) for pair in _pairs(body)]
        for text in texts:
            plain = text.partition(b",")[2] if text.startswith(b"data:") else text
            plain = plain.replace(b"\\r", b"").replace(b"\\n", b"").replace(b"\\/", b"/").replace(b" ", b"+")
            with contextlib.suppress(binascii.Error, ValueError):
                decoded = binascii.a2b_base64(plain + b"=" * (-len(plain) % 4))
                if hashlib.sha256(decoded).hexdigest() == wanted:
                    return decoded
    return None


def _pairs(body: bytes) -> list[bytes]:
    return (
        body.split(b"&")
        if b"=" in body[:200] and not body.startswith((b"{", b"--", b"\xff", b"\x89"))
        else []
    )


async def _send_again(app: Any, call: RawCall) -> int | None:
    """Send a call through the whole application. Return the number of the recorded call."""
    state: dict[str, Any] = {}
    raw_path = call.scope["raw_path"].partition(b"?")[0]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "root_path": "",
        "server": None,
        "client": None,
        "extensions": {},
        **call.scope,
        # The application has changed the path of a request to a file store's own host.
        "path": unquote(raw_path.decode("latin-1")) if raw_path else call.scope["path"],
        # The application changes the scope.
        "headers": list(call.scope["headers"]),
        "state": state,
    }
    body = bytes(call.sent)
    is_sent = asyncio.Event()
    is_received = False

    async def receive() -> Message:
        nonlocal is_received
        if not is_received:
            is_received = True
            return {"type": "http.request", "body": body, "more_body": False}
        await is_sent.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            is_sent.set()

    with contextlib.suppress(ConnectionDropped):
        await app(scope, receive, send)
    number: int | None = state.get("call_number")
    return number
