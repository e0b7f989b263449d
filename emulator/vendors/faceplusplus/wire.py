"""What Face++ requests and answers look like on the wire."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from fastapi import Request, Response
from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.exceptions import HTTPException

from emulator.face.pose import WeakPerspective
from emulator.face.types import Matrix
from emulator.pipelines.options import View, Wavefront
from emulator.vendors.faceplusplus.errors import ERRORS, Layer
from emulator.web.catalogue import VendorError

MTL_NAME, TEXTURE_NAME = "face.mtl", "tex.jpg"
"""The names under which clients must save the files (3D Face, return values, note 2)."""

MILLIMETRES_PER_CM = 10.0
"""The sample's scale of 6.7 pixels a unit fits a face of ordinary size in millimetres."""

DEPTH_SQUEEZE = 11.0235
"""How much smaller the third row of the sample's matrix is than the first two."""

ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
"""The vendor's browser SDK calls from anywhere."""

_PROXY_PAGE = (
    '<html>\r\n<head><title>{0}</title></head>\r\n<body bgcolor="white">\r\n'
    "<center><h1>{0}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)

IMAGE_KINDS: tuple[Literal["file", "base64", "url"], ...] = ("file", "base64", "url")
"""The fields that may carry an image, the one that counts first."""

FIELDS = frozenset(
    {
        *("api_key", "api_secret", "texture", "mtl"),
        *(f"image_{kind}_{number}" for kind in IMAGE_KINDS for number in (1, 2, 3)),
    }
)
"""All that the page documents."""

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
        return texts[0] if texts else self._query.get(name) or None

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
            raise ERRORS["BAD_ARGUMENTS"].occur(param=name)
        return number[1] == "1"

    def image(self, number: int) -> ImageField | None:
        """Return image 1, 2 or 3, or None: a file goes before base64, base64 before a URL."""
        name = f"image_file_{number}"
        file = self.file(name)
        if file is not None:
            return ImageField(name, "file", file)
        kinds: tuple[Literal["base64", "url"], ...] = ("base64", "url")
        for kind in kinds:
            name = f"image_{kind}_{number}"
            text = self.text(name)
            if text is not None:
                return ImageField(name, kind, text)
        return None


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


def transfer_matrix(view: View) -> Matrix:
    """Return the (4, 4) matrix that carries an OBJ vertex into the view of one image.

    For a vertex p in millimetres, ``(x, y, z, 1) = M (p, 1)`` lies at the pixel position
    ``u = width / 2 + x``, ``v = height / 2 - y``, counted from the picture's top left corner
    (a pixel's centre is at half numbers). z grows towards the camera and only orders depth.

    Convention
    ----------
    Weak perspective, derived from the vendor's sample: the first two rows are s R, the third is
    s R / 11.0235 without a translation; target axes x right, y up, origin at the picture's centre.
    """
    camera: WeakPerspective = view.camera
    scale = camera.scale / MILLIMETRES_PER_CM
    matrix = np.eye(4)
    matrix[:3, :3] = scale * camera.rotation
    matrix[2, :3] /= DEPTH_SQUEEZE
    matrix[0, 3] = camera.translation[0] + 0.5 - view.width / 2
    matrix[1, 3] = view.height / 2 - camera.translation[1] - 0.5
    return matrix


def float32_number(value: float) -> int | float:
    """Return ``value`` as the vendor writes numbers: the shortest float32 form, integral ones as integers."""
    shortest = float(str(np.float32(value)))
    return int(shortest) if shortest.is_integer() else shortest


def render_success(
    head: Wavefront,
    *,
    request_id: str,
    texture: bool,
    mtl: bool,
    time_used_ms: int,
    absent_members: Literal["absent", "null", "empty"] = "absent",
) -> Response:
    """Return the answer to a request that succeeded, its members in the order of the vendor's sample."""
    body: dict[str, Any] = {
        "request_id": request_id,
        "mtl_file": _base64(head.mtl.encode()) if mtl else None,
        "obj_file": _base64(head.obj.encode()),
        "texture_img": _base64(head.texture) if texture else None,
        "time_used": time_used_ms,
        "transfer_matrix": [
            [float32_number(number) for number in transfer_matrix(view).ravel()] for view in head.views
        ],
    }
    if absent_members == "absent":
        body = {name: value for name, value in body.items() if value is not None}
    elif absent_members == "empty":
        body = {name: "" if value is None else value for name, value in body.items()}
    return _json(200, body)


def render_error(error: VendorError, *, request_id: str, time_used_ms: int) -> Response:
    """Return the answer to a request that failed, as its layer words it."""
    match ERRORS[error.entry.name].layer:
        case Layer.PROXY:
            return Response(_PROXY_PAGE.format(error.text), error.entry.status, ANY_ORIGIN, "text/html")
        case Layer.GATEWAY:
            return _json(error.entry.status, {"error_message": error.text}, separators=(",", ":"))
        case _:
            body = {"time_used": time_used_ms, "error_message": error.text, "request_id": request_id}
            return _json(error.entry.status, body)


def _json(status: int, body: Mapping[str, Any], separators: tuple[str, str] = (", ", ": ")) -> Response:
    return Response(json.dumps(body, separators=separators), status, ANY_ORIGIN, "application/json")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
