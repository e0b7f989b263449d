"""The fields of a request, read as the gateway reads them."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Literal

from fastapi import Request
from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.exceptions import HTTPException

from emulator.backends.fetch import FetchFailed
from emulator.vendors.faceplusplus.errors import ARGUMENTS
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings
from emulator.web.call import Call
from emulator.web.media_types import contradicts, picture_type
from emulator.world.world import World

IMAGE_KINDS: tuple[Literal["file", "base64", "url"], ...] = ("file", "base64", "url")
"""The fields that may carry an image, the one that counts first."""

DATA_URI = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


@dataclass(frozen=True)
class ImageField:
    """An image of the request: the name of the field that carries it, and what it carries."""

    name: str
    kind: Literal["file", "base64", "url"]
    value: UploadFile | str


class Fields:
    """The fields of a request, read the way the gateway reads them.

    Fields stand in the body or in the query; the body wins. The first of a field's values counts,
    and empty ones count as absent.
    """

    def __init__(self, form: FormData, query: QueryParams) -> None:
        self._parts = [(name, value) for name, value in form.multi_items() if value != ""]
        self._query = query

    @classmethod
    @contextlib.asynccontextmanager
    async def reading(cls, request: Request, longest_field: int) -> AsyncIterator[Fields]:
        """Give the fields of ``request``, and their files as long as the block lasts.

        There are none in a body that cannot be parsed. ``longest_field`` bounds a field that is no
        file, in bytes.
        """
        async with contextlib.AsyncExitStack() as stack:
            try:
                form = await stack.enter_async_context(request.form(max_part_size=longest_field))
            except (HTTPException, UnicodeError, LookupError):
                # Not a form, or one in a character set that nobody knows.
                form = FormData()
            yield cls(form, request.query_params)

    def names(self) -> list[str]:
        """Return the names of all fields that are not empty, each once."""
        queried = [name for name, value in self._query.multi_items() if value]
        return list(dict.fromkeys([*(name for name, _ in self._parts), *queried]))

    def text(self, name: str) -> str | None:
        """Return a field's text, or None."""
        texts = [value for part, value in self._parts if part == name and isinstance(value, str)]
        queried = [value for value in self._query.getlist(name) if value]
        return next(iter([*texts, *queried]), None)

    def file(self, name: str) -> UploadFile | None:
        """Return a field's file, or None; a file without a byte counts as absent."""
        files = [value for part, value in self._parts if part == name and isinstance(value, UploadFile)]
        return next((file for file in files if file.size), None)

    async def flag(self, name: str) -> bool:
        """Return a field that is 0 or 1, and 0 if it is absent.

        Some clients send their flags as file parts too, so a file's content counts where there is
        no text.

        Raises
        ------
        VendorError
            If it is something else.
        """
        value = self.text(name)
        file = self.file(name)
        if value is None and file is not None:
            value = (await file.read()).decode("latin-1")
        number = re.fullmatch(r"\s*[+-]?0*([01])\s*", value or "0", re.ASCII)
        if number is None:
            raise ARGUMENTS["BAD_ARGUMENTS"].occur(param=name)
        return number[1] == "1"

    def image(self, suffix: str = "") -> ImageField | None:
        """Return an image, or None: a file goes before base64, base64 before a URL.

        ``suffix`` tells the images of a request apart, as ``_2`` in ``image_file_2``.
        """
        name = f"image_file{suffix}"
        file = self.file(name)
        if file is not None:
            return ImageField(name, "file", file)
        kinds: tuple[Literal["base64", "url"], ...] = ("base64", "url")
        for kind in kinds:
            name = f"image_{kind}{suffix}"
            text = self.text(name)
            if text is not None:
                return ImageField(name, kind, text)
        return None

    def warn(self, call: Call, known: Collection[str]) -> None:
        """Warn of fields that are not ``known``, and of credentials where they should not be."""
        names = self.names()
        for name in names:
            if name not in known:
                call.warn("field-dropped", f"there is no field {name}")
        for suffix in (name.removeprefix("image_file") for name in known if name.startswith("image_file")):
            sent = [name for kind in IMAGE_KINDS if (name := f"image_{kind}{suffix}") in names]
            for name in sent[1:]:
                call.warn("field-dropped", f"{sent[0]} goes before {name}")
        for name in ("api_key", "api_secret"):
            if name in self._query:
                call.warn("credential-in-query", name)


async def read_image(field: ImageField, call: Call, world: World, settings: FacePlusPlusSettings) -> bytes:
    """Return the bytes of an image, as a fault of the call leaves them.

    Raises
    ------
    VendorError
        If there are none, or too many.
    """
    if isinstance(field.value, UploadFile):
        data = await field.value.read()
        if contradicts(field.value.content_type, data):
            said = f"{field.name}: {field.value.content_type} is said, {picture_type(data)} was sent"
            call.warn("upload-content-type-mismatch", said)
    elif field.kind == "url":
        try:
            data = await world.fetcher.fetch(
                field.value, limit=settings.image_bytes, timeout_s=settings.download_timeout_s
            )
        except FetchFailed as error:
            raise ARGUMENTS.for_cause(error).occur() from error
    else:
        decoded = decode_base64(field.value)
        if decoded is None:
            raise ARGUMENTS["IMAGE_ERROR_UNSUPPORTED_FORMAT"].occur(param=field.name)
        data = decoded
    if len(data) > settings.image_bytes:
        raise ARGUMENTS["IMAGE_FILE_TOO_LARGE"].occur(param=field.name)
    return await world.degraded(data, call.picture_fault)


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of a base64 field, or None if it is none.

    A data URI's prefix is dropped, its MIME type ignored; white space may stand anywhere, and the
    padding may be missing.
    """
    prefix = DATA_URI.match(text)
    compact = "".join(text[prefix.end() if prefix else 0 :].split())
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
