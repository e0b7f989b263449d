"""Requests that parse multipart forms with the emulator's parser."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from fastapi import Request, Response
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import FormParser, MultiPartException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from emulator.web.call import call_of
from emulator.web.dependencies import in_order
from emulator.web.forms.header import media_type
from emulator.web.forms.parser import MultipartError, MultipartParser, PartEnd, PartHead, is_multipart
from emulator.web.forms.percent import unquoted_text

SPOOL_BYTES = 16 * 1024 * 1024
"""Largest size of a file that is held in memory, in bytes. Larger files are moved to disk.

With the default settings, all photos are smaller. The disk would take a quarter of the time of a large photo,
and `BodyMemory` counts the whole form anyway.
"""

MALFORMED = "There was an error parsing the body"
"""FastAPI's error for a form that cannot be parsed."""


class FormRequest(Request):
    """A request that parses multipart forms with the emulator's parser instead of Starlette's.

    Starlette's parser refuses a preamble and folded headers, ignores ``filename*``, and drops the last part
    of a form that is cut off. For URL-encoded forms, Starlette's parser is used with a faster decoder.
    """

    async def body(self) -> bytes:
        """Return the body. Starlette reads it through an asynchronous generator, which takes much longer."""
        if hasattr(self, "_body") or self._stream_consumed:
            return await super().body()
        chunks: list[bytes] = []
        has_more = True
        while has_more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunks.append(message.get("body", b""))
            has_more = message.get("more_body", False)
        self._body = b"".join(chunks)
        return self._body

    async def _get_form(
        self, *, max_files: float = 1000, max_fields: float = 1000, max_part_size: int = 1024 * 1024
    ) -> FormData:
        content_type = self.headers.get("content-type", "")
        if self._form is None and is_multipart(content_type):
            form = _Form(max_files, max_fields, max_part_size)
            try:
                parser = MultipartParser(content_type)
                async with contextlib.aclosing(self.stream()) as stream:
                    async for chunk in stream:
                        for event in parser.feed(chunk):
                            await form.take(event)
                parser.end()
            except BaseException as error:
                form.close()
                if isinstance(error, MultipartError):
                    raise HTTPException(400, MALFORMED) from error
                raise
            self._form = FormData(form.items)
            self._warn(parser, form.heads)
        elif self._form is None and media_type(content_type) == "application/x-www-form-urlencoded":
            try:
                async with contextlib.aclosing(self.stream()) as stream:
                    fields = _Fields(self.headers, stream, max_fields=max_fields, max_part_size=max_part_size)
                    self._form = await fields.parse()
            except MultiPartException as error:
                raise HTTPException(400, error.message) from error
        return await super()._get_form(
            max_files=max_files, max_fields=max_fields, max_part_size=max_part_size
        )

    def _warn(self, parser: MultipartParser, heads: list[PartHead]) -> None:
        """Warn about parts of the form that many servers would read differently."""
        call = call_of(self)
        if parser.has_bare_line_ends:
            call.warn("form-not-portable", "lines end in LF instead of CRLF")
        for head in heads:
            if head.encoding:
                call.warn("form-not-portable", f"{head.name}: Content-Transfer-Encoding is {head.encoding}")
            for parameter in head.extended:
                call.warn("form-not-portable", f"{head.name}: {parameter}* instead of {parameter}")


class FormRoute(APIRoute):
    """A route that passes a ``FormRequest`` to its endpoint."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        answer = in_order(self.dependant)
        if answer is None:
            # FastAPI expects this middleware around its routes.
            self.app = AsyncExitStackMiddleware(self.app)
            return

        async def answer_form(scope: Scope, receive: Receive, send: Send) -> None:
            response = await answer(FormRequest(scope, receive))
            await response(scope, receive, send)

        self.app = answer_form

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that answers a request, for routes that need FastAPI."""
        answer = super().get_route_handler()

        async def answer_form(request: Request) -> Response:
            return await answer(FormRequest(request.scope, request.receive))

        return answer_form


class _Fields(FormParser):
    """Starlette's parser of URL-encoded forms, with a faster decoder of the values."""

    def on_field_end(self) -> None:
        """Add a field."""
        value, self._field_value = self._field_value, bytearray()
        super().on_field_end()
        name, _ = self._items.pop()
        self._items.append((name, unquoted_text(value)))


class _Form:
    """The parts of a form that have arrived.

    ``heads`` has the headers of each part. ``items`` has the name of each complete part, with its text or
    file.
    """

    def __init__(self, most_files: float, most_texts: float, longest_text: int) -> None:
        self.heads: list[PartHead] = []
        self.items: list[tuple[str, str | UploadFile]] = []
        self._files: list[UploadFile] = []
        self._text = bytearray()
        self._most_files = most_files
        self._most_texts = most_texts
        self._longest_text = longest_text

    async def take(self, event: PartHead | bytes | PartEnd) -> None:
        """Take the next event of the parser."""
        if isinstance(event, PartHead):
            self._begin(event)
        elif isinstance(event, PartEnd):
            await self._end()
        elif self.heads[-1].file_name is not None:
            await self._files[-1].write(event)  # uses a thread if the file has been moved to disk
        elif len(self._text) + len(event) > self._longest_text:
            raise MultipartError("a part is too long")
        else:
            self._text += event

    def close(self) -> None:
        """Close all files. Nothing is awaited, because the request may have been cancelled."""
        for file in self._files:
            file.file.close()

    def _begin(self, head: PartHead) -> None:
        self.heads.append(head)
        if head.file_name is None:
            self._text.clear()
            if len(self.heads) - len(self._files) > self._most_texts:
                raise MultipartError("the form has too many fields")
            return
        if len(self._files) >= self._most_files:
            raise MultipartError("the form has too many files")
        file = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed with the form
        opened = cast("BinaryIO", file)
        headers = Headers(raw=list(head.headers))
        self._files.append(UploadFile(opened, size=0, filename=head.file_name, headers=headers))

    async def _end(self) -> None:
        head = self.heads[-1]
        if head.file_name is not None:
            await self._files[-1].seek(0)
            self.items.append((head.name, self._files[-1]))
        else:
            text = head.text(bytes(self._text))
            self.items.append((head.name, self._text.decode("latin-1") if text is None else text))
