"""What Perfect Corp's requests and answers look like on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar
from xml.sax.saxutils import escape

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.face.reshape import ReshapeParameters
from emulator.tasks.task import Task, TaskState
from emulator.vendors.perfectcorp.errors import ERRORS, Layer
from emulator.web.catalogue import VendorError

Signed = Annotated[int, Field(strict=True, ge=-100, le=100)]
Unsigned = Annotated[int, Field(strict=True, ge=0, le=100)]
Body = TypeVar("Body", bound="RequestBody")

SIDED = ("face_reshape", "chin_reshape", "eye_size")
"""The combined parameters: each stands for its ``_left`` and ``_right``, unless these are sent too."""


class RequestBody(BaseModel):
    """The base of request bodies. Unknown members are dropped, as the vendor does."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class NewFile(RequestBody):
    """A file to be registered."""

    content_type: Annotated[str, Field(strict=True)]
    file_name: Annotated[str, Field(strict=True)]
    file_size: Annotated[int, Field(strict=True, gt=0)]


class NewFiles(RequestBody):
    """The body of a file registration."""

    files: list[NewFile]


class Source(RequestBody):
    """Where a task's picture comes from."""

    src_file_id: str | None = None
    src_file_url: str | None = None


class Features(RequestBody):
    """The reshape parameters; every one may be left out, and presence matters."""

    cheekbones: Unsigned = 0
    jaw: Unsigned = 0
    face_reshape: Signed = 0
    face_reshape_left: Signed = 0
    face_reshape_right: Signed = 0
    face_width: Signed = 0
    chin_reshape: Signed = 0
    chin_reshape_left: Signed = 0
    chin_reshape_right: Signed = 0
    chin_length: Signed = 0
    eye_size: Signed = 0
    eye_size_left: Signed = 0
    eye_size_right: Signed = 0
    eye_width: Signed = 0
    eye_height: Signed = 0
    eye_distance: Signed = 0
    eye_angle: Signed = 0
    nose_bridge_width: Signed = 0
    nose_lift: Signed = 0
    nose_size: Signed = 0
    nose_tip: Signed = 0
    nose_tip_width: Signed = 0
    nose_wing: Signed = 0
    lip_size: Signed = 0
    lip_width: Signed = 0
    lip_height_top: Signed = 0
    lip_height_bottom: Signed = 0
    lip_peak: Signed = 0

    def to_parameters(self) -> ReshapeParameters:
        """Return what the face core understands, combined parameters given to both sides.

        "A per-side key overrides this value for that side; a per-side 0 means that side is left
        unchanged": what counts is whether the key was sent.
        """
        values: dict[str, float] = {}
        for name in self.model_fields_set:
            value = getattr(self, name) / 100
            if name in SIDED:
                for side in (f"{name}_left", f"{name}_right"):
                    if side not in self.model_fields_set:
                        values[side] = value
            else:
                values[name] = value
        return ReshapeParameters(**values)


class Global(RequestBody):
    """Smoothing of the skin."""

    skin_smooth_strength: Unsigned = 0
    skin_smooth_color_intensity: Unsigned = 0


class ReshapeRequest(Source):
    """The body of a face-reshape task."""

    version: Literal["1.0"]
    index: Annotated[int, Field(strict=True)] = 0
    features: Features
    global_: Annotated[Global, Field(alias="global")]


async def read_body(request: Request, model: type[Body]) -> Body:
    """Return the JSON body of ``request``, validated.

    Raises
    ------
    VendorError
        With the validator's sentence for the first thing that is wrong.
    """
    try:
        document = json.loads(await request.body())
    except ValueError as error:
        raise ERRORS["InvalidParameters"].occur(sentence="The request body is not valid JSON.") from error
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ERRORS["InvalidParameters"].occur(sentence=_sentence(error)) from error


def check_source(source: Source) -> None:
    """Raise unless the body names a picture.

    Raises
    ------
    VendorError
        If neither ``src_file_id`` nor ``src_file_url`` is there.
    """
    if source.src_file_id is None and source.src_file_url is None:
        missing = ", or ".join(_missing(name) for name in ("src_file_url", "src_file_id"))
        raise ERRORS["InvalidParameters"].occur(sentence=missing)


def check_features(features: Features) -> None:
    """Raise unless some feature is not zero.

    Raises
    ------
    VendorError
        If all are.
    """
    if features.to_parameters() == ReshapeParameters():
        raise ERRORS["InvalidParameters"].occur(sentence="Features cannot be all zero")


def render_files(files: Sequence[tuple[str, NewFile, str]]) -> Response:
    """Return the answer to a registration: for each file its id, itself and its upload URL."""
    return _data(
        {
            "files": [
                {
                    "content_type": file.content_type,
                    "file_name": file.file_name,
                    "file_id": file_id,
                    "requests": [
                        {
                            "method": "PUT",
                            "url": url,
                            # Strings both: clients hand them to their HTTP library as they are.
                            "headers": {
                                "Content-Length": str(file.file_size),
                                "Content-Type": file.content_type,
                            },
                        }
                    ],
                }
                for file_id, file, url in files
            ]
        }
    )


def render_created(task_id: str) -> Response:
    """Return the answer to a new task."""
    return _data({"task_id": task_id})


def render_status(task: Task, results: Mapping[str, Any] | None) -> Response:
    """Return the answer to a poll; queued and running are both ``running`` to a client."""
    if task.state is TaskState.FAILED:
        entry = ERRORS[task.error or "unknown_internal_error"]
        return _data(
            {
                "error": (entry.extra or {})["code"],
                "error_message": entry.text,
                "results": None,
                "task_status": "error",
            }
        )
    status = "success" if task.state is TaskState.SUCCEEDED else "running"
    return _data({"error": None, "results": results, "task_status": status})


def render_error(error: VendorError) -> Response:
    """Return the answer to a request that failed, as its layer words it."""
    extra = error.entry.extra or {}
    if extra["layer"] is Layer.STORE:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{extra['code']}</Code><Message>{escape(error.text)}</Message></Error>"
        )
        return Response(body, error.entry.status, media_type="application/xml")
    codes = dict.fromkeys(extra["code_members"], extra["code"])
    return JSONResponse({"status": error.entry.status, "error": error.text, **codes}, error.entry.status)


def _data(data: Mapping[str, Any]) -> Response:
    return JSONResponse({"status": 200, "data": data})


def _missing(name: str) -> str:
    return f"{name} is required but wasn't included in your request."


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    # The validator prints the innermost member's name, without the path to it.
    names = [str(step) for step in first["loc"] if isinstance(step, str)]
    name = names[-1] if names else "body"
    if first["type"] != "missing" and first["input"] is None:
        return f"'{name}' is required and can't be null."
    match first["type"]:
        case "missing":
            return _missing(name)
        case "less_than_equal" | "less_than":
            return f"{name} is above the allowed maximum."
        case "greater_than_equal" | "greater_than":
            return f"{name} is below the allowed minimum."
        case "literal_error":
            return f"{name} is not one of the accepted values."
        case _:
            return f"{name} doesn't match the required format."
