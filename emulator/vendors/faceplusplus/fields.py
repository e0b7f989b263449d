"""Parsing of the fields of a request, and of the images in them."""

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
"""The three ways to send an image. If a request uses several, the first one in this order is used."""

DATA_URI = re.compile(r"\s*data:[^,]*;\s*base64\s*,", re.IGNORECASE)


@dataclass(frozen=True)
class ImageField:
    """An image field of a request: its name, its kind and its value."""

    name: str
    kind: Literal["file", "base64", "url"]
    value: UploadFile | str


class Fields:
    """The fields of a request, from its body and its query.

    If a field occurs several times, its first value is used; the body comes before the query. A field with an
    empty value counts as absent.
    """

    def __init__(self, form: FormData, query: QueryParams) -> None:
        self._parts = [(name, value) for name, value in form.multi_items() if value != ""]
        self._query = query

    @classmethod
    @contextlib.asynccontextmanager
    async def reading(cls, request: Request, longest_field: int) -> AsyncIterator[Fields]:
        """Parse the fields of ``request``. Uploaded files stay open until the ``async with`` block ends.

        A body that cannot be parsed counts as a body without fields. ``longest_field`` is the largest size of
        a field in bytes; it does not apply to files.
        """
        async with contextlib.AsyncExitStack() as stack:
            try:
                form = await stack.enter_async_context(request.form(max_part_size=longest_field))
            except HTTPException:
                form = FormData()
            yield cls(form, request.query_params)

    def names(self) -> list[str]:
        """Return the names of all fields that are not empty, each once."""
        queried = [name for name, value in self._query.multi_items() if value]
        return list(dict.fromkeys([*(name for name, _ in self._parts), *queried]))

    def text(self, name: str) -> str | None:
        """Return a field's text, or None if the field is absent or a file."""
        texts = [value for part, value in self._parts if part == name and isinstance(value, str)]
        queried = [value for value in self._query.getlist(name) if value]
        return next(iter([*texts, *queried]), None)

    def file(self, name: str) -> UploadFile | None:
        """Return a field's file, or None if the field is absent, a text or an empty file."""
        files = [value for part, value in self._parts if part == name and isinstance(value, UploadFile)]
        return next((file for file in files if file.size), None)

    async def flag(self, name: str) -> bool:
        """Return whether a field is 1. An absent field counts as 0.

        Raises
        ------
        VendorError
            If the field is neither 0 nor 1.
        """
        return await self.integer(name, 0, 1, default=0) == 1

    async def integer(self, name: str, least: int, most: int, *, default: int) -> int:
        """Return the whole number in a field. An absent field counts as ``default``.

        Some clients send numbers as files. The content of the file is used if the field has no text.

        Raises
        ------
        VendorError
            If the field is not a whole number from ``least`` to ``most``.
        """
        value = self.text(name)
        file = self.file(name)
        if value is None and file is not None:
            value = (await file.read()).decode("latin-1")
        if value is None:
            return default
        # The number of digits is limited, because ``int`` refuses very long numbers.
        found = re.fullmatch(r"\s*([+-]?)0*(\d{1,9})\s*", value, re.ASCII)
        number = None if found is None else int(found[1] + found[2])
        if number is None or not least <= number <= most:
            raise ARGUMENTS["BAD_ARGUMENTS"].occur(param=name)
        return number

    def image(self, suffix: str = "") -> ImageField | None:
        """Return the field of an image, or None if the request does not have this image.

        ``suffix`` selects the image. With ``_2``, return the first of ``image_file_2``, ``image_base64_2``
        and ``image_url_2`` that the request has.
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
        """Add warnings to ``call`` about unknown fields, ignored images, and credentials in the query.

        ``known`` has the names of the operation's fields.
        """
        names = self.names()
        for name in names:
            if name not in known:
                call.warn("field-dropped", f"unknown field {name}")
        for suffix in (name.removeprefix("image_file") for name in known if name.startswith("image_file")):
            sent = [name for kind in IMAGE_KINDS if (name := f"image_{kind}{suffix}") in names]
            for name in sent[1:]:
                call.warn("field-dropped", f"{name} is ignored because {sent[0]} was sent")
        for name in ("api_key", "api_secret"):
            if name in self._query:
                call.warn("credential-in-query", name)


async def read_image(field: ImageField, call: Call, world: World, settings: FacePlusPlusSettings) -> bytes:
    """Return the bytes of an image, changed by the call's fault for pictures, if it has one.

    Raises
    ------
    VendorError
        If the image cannot be downloaded, is not base64 in a base64 field, or is too large.
    """
    if isinstance(field.value, UploadFile):
        data = await field.value.read()
        if contradicts(field.value.content_type, data):
            said = f"{field.name}: declared {field.value.content_type}, sent {picture_type(data)}"
            call.warn("upload-content-type-mismatch", said)
    elif field.kind == "url":
        try:
            data = await world.fetcher.fetch(
                field.value,
                credential=call.credential or "",
                limit=settings.image_bytes,
                timeout_s=settings.download_timeout_s,
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
    """Return the bytes of a base64 text, or None if it is malformed.

    The prefix of a data URI and all white space are ignored, and the padding may be missing.
    """
    prefix = DATA_URI.match(text)
    compact = "".join(text[prefix.end() if prefix else 0 :].split())
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
