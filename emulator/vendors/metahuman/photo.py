"""Forms with a token and a photo: the fields, their validation, and the photo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field
from starlette.datastructures import FormData, UploadFile

from emulator.vendors.metahuman.errors import PHOTO
from emulator.vendors.metahuman.settings import MetaHumanSettings
from emulator.vendors.metahuman.wire import missing_field, wrong_field
from emulator.web.call import Call
from emulator.web.media_types import contradicts, picture_type
from emulator.world.world import World

FORMATS = frozenset({"jpeg", "png", "heic", "bmp", "webp"})
"""Allowed formats of photos. The vendor's errors page lists all five, its method pages only three."""


class PhotoFields(BaseModel):
    """The fields of every request with a photo."""

    token: Annotated[str, Field(min_length=1)] = Field(
        description="Token of the caller, from `POST /auth/token`."
    )
    image_bytes: Annotated[str, Field(json_schema_extra={"contentMediaType": "application/octet-stream"})] = (
        Field(description="Photo of a face: a JPEG, PNG, HEIC, BMP or WebP file of less than 10 MiB.")
    )


@dataclass(frozen=True)
class PhotoForm:
    """The token and the file of a valid form."""

    token: str
    upload: UploadFile


async def read_form(
    form: FormData, call: Call, texts: Iterable[str] = ()
) -> PhotoForm | list[dict[str, Any]]:
    """Return the token and the file of a form, or a description of each missing or wrong field.

    The descriptions are in FastAPI's format. ``texts`` has the names of optional fields that must not be
    files.
    """
    token, upload = form.get("token"), form.get("image_bytes")
    # Record the token before checking the form, so that the journal has the token of an invalid call too.
    if isinstance(token, str) and token:
        await call.identify(token)
    wrong_texts = [name for name in texts if isinstance(form.get(name), UploadFile)]
    if isinstance(token, str) and token and isinstance(upload, UploadFile) and not wrong_texts:
        return PhotoForm(token, upload)
    found = []
    if token is None or token == "":
        found.append(missing_field("token"))
    elif not isinstance(token, str):
        found.append(_no_text("token"))
    if upload is None:
        found.append(missing_field("image_bytes"))
    elif isinstance(upload, str):
        message = "Expected UploadFile, received: <class 'str'>"
        found.append(wrong_field("image_bytes", message, "value_error"))
    return found + [_no_text(name) for name in wrong_texts]


async def read_photo(upload: UploadFile, call: Call, world: World, settings: MetaHumanSettings) -> bytes:
    """Return the bytes of a photo, with the fault of the call applied.

    Raises
    ------
    VendorError
        If the photo is too large.
    """
    photo = await upload.read(settings.image_bytes)
    if contradicts(upload.content_type, photo):
        said = f"image_bytes: declared {upload.content_type}, sent {picture_type(photo)}"
        call.warn("upload-content-type-mismatch", said)
    if len(photo) >= settings.image_bytes:
        raise PHOTO["FILE_TOO_LARGE"].occur()
    return await world.degraded(photo, call.picture_fault, heic_format="JPEG")


def _no_text(name: str) -> dict[str, Any]:
    return wrong_field(name, "str type expected", "type_error.str")
