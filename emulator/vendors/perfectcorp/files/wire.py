"""Request and response models of file registration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, FailFast, Field, WithJsonSchema

from emulator.vendors.perfectcorp.body import RequestBody, Text
from emulator.vendors.perfectcorp.errors import SHARED
from emulator.vendors.perfectcorp.wire import Data, Member, Result
from emulator.web.openapi import SettingValue


def _file(kind: str, limit: str) -> Any:
    """Return the JSON schema of images or videos. ``limit`` names the setting that limits their size."""
    media_type = {"pattern": f"^{kind}/", "description": f"`{kind}/...` for {kind}s."}
    size = {
        "exclusiveMaximum": SettingValue(limit),
        "description": f"For {kind}s, smaller than the setting `{limit}`.",
    }
    return {"properties": {"content_type": media_type, "file_size": size}}


def _limit_files(schema: dict[str, Any]) -> None:
    """Add the largest number of files to a JSON schema."""
    schema["properties"]["files"]["maxItems"] = SettingValue("most_files")


def _not_null(size: object) -> object:
    if size is None:
        raise ValueError("null")
    return size


Size = Annotated[int, Field(strict=True, gt=0)]
OptionalSize = Annotated[
    Size | None, BeforeValidator(_not_null), WithJsonSchema({"type": "integer", "exclusiveMinimum": 0})
]
"""A size that can be missing, but not null."""


class NamedFile(RequestBody):
    """The members of a registration that v1 and v2 share."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [_file("image", "file_bytes"), _file("video", "video_bytes")]}
    )

    content_type: Text = Field(description="Media type of the file. The upload must declare the same type.")
    file_name: Text = Field(description="Name of the file. The response has the same name.")

    @property
    def is_video(self) -> bool:
        """Whether the file is registered as a video."""
        return self.content_type.startswith("video/")


class NewFile(NamedFile):
    """A file to register."""

    file_size: Size = Field(description="Size of the file in bytes. The upload must have exactly this size.")


class LegacyFile(NamedFile):
    """A file to register under a v1 path."""

    file_size: OptionalSize = Field(
        default=None,
        description="Size of the file in bytes. The upload must have exactly this size. Required under v1.1. "
        "Optional under v1.0: if you omit it, the upload can have any size up to the limit.",
    )


class NewFiles(RequestBody):
    """The body of a file registration."""

    model_config = ConfigDict(json_schema_extra=_limit_files)

    # With ``FailFast``, a list of half a million wrong items is refused at once.
    files: Annotated[list[NewFile], FailFast()] = Field(description="Files to register.")


class LegacyFiles(RequestBody):
    """The body of a file registration under a v1 path."""

    model_config = ConfigDict(json_schema_extra=_limit_files)

    files: Annotated[list[LegacyFile], FailFast()] = Field(description="Files to register.")


class TypeHeader(Member):
    """The header of the upload of a file that was registered without a size."""

    content_type: Annotated[str, Field(alias="Content-Type")] = Field(description="Media type of the file.")


class UploadHeaders(Member):
    """The headers of an upload. Both values are strings, so that clients can send them unchanged."""

    content_length: Annotated[str, Field(alias="Content-Length")] = Field(
        description="Size of the file in bytes."
    )
    content_type: Annotated[str, Field(alias="Content-Type")] = Field(description="Media type of the file.")


Headers = TypeVar("Headers")


class UploadRequest(Member, Generic[Headers]):
    """The request that uploads a file."""

    method: Literal["PUT"] = Field(description="HTTP method of the upload.")
    url: str = Field(
        description="Presigned URL for the upload. It expires after 2 hours; the setting `url_seconds` "
        "changes this."
    )
    headers: Headers = Field(
        description="Headers that the upload must have, because the URL's signature covers them."
    )


class RegisteredFile(Member, Generic[Headers]):
    """A registered file."""

    content_type: str = Field(description="Media type of the file, as registered.")
    file_name: str = Field(description="Name of the file, as registered.")
    file_id: Annotated[str, Field(pattern="^[A-Za-z0-9+/]{64}$")] = Field(
        description="Id of the file, for the `src_file_id` of tasks."
    )
    requests: Annotated[list[UploadRequest[Headers]], Field(min_length=1, max_length=1)] = Field(
        description="The request that uploads the file."
    )


class RegisteredFiles(Member, Generic[Headers]):
    """The registered files."""

    files: list[RegisteredFile[Headers]] = Field(description="Registered files, in the order of the request.")


FilesOf = Data[RegisteredFiles[UploadHeaders]]
LegacyFilesOf = Result[RegisteredFiles[UploadHeaders | TypeHeader]]


def check_file(file: NewFile | LegacyFile, picture_bytes: int, video_bytes: int) -> None:
    """Raise ``VendorError`` if the type or the size of a file is not allowed."""
    if not file.content_type.startswith(("image/", "video/")):
        sentence = "content_type is not one of the accepted values."
        raise SHARED["InvalidParameters"].occur(sentence=sentence)
    if file.file_size is not None and file.file_size >= (video_bytes if file.is_video else picture_bytes):
        raise SHARED["InvalidParameters"].occur(sentence="file_size is above the allowed maximum.")


def registered(files: Sequence[tuple[str, NewFile | LegacyFile, str]]) -> dict[str, Any]:
    """Return the content of a response, in the form of `RegisteredFiles`.

    ``files`` has the id, file and upload URL of each.
    """
    return {
        "files": [
            {
                "content_type": file.content_type,
                "file_name": file.file_name,
                "file_id": file_id,
                "requests": [{"method": "PUT", "url": url, "headers": upload_headers(file)}],
            }
            for file_id, file, url in files
        ]
    }


def upload_headers(file: NewFile | LegacyFile) -> dict[str, str]:
    """Return the headers that the upload of a file must have."""
    length = {} if file.file_size is None else {"Content-Length": str(file.file_size)}
    return {**length, "Content-Type": file.content_type}
