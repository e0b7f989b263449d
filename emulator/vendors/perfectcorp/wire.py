"""What Perfect Corp's requests and answers look like on the wire."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NoReturn, TypeVar
from xml.sax.saxutils import escape

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from emulator.face.reshape_parameters import ReshapeParameters
from emulator.tasks.task import Task, TaskState
from emulator.vendors.perfectcorp.errors import ERRORS, Layer
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.vendors.perfectcorp.units import Charge, Grant
from emulator.web.call import call_of
from emulator.web.catalogue import VendorError


def _encodable(text: str) -> str:
    """Return ``text``, unless it has half a surrogate pair, which JSON can say and no encoding can."""
    text.encode()
    return text


Text = Annotated[str, Field(strict=True), AfterValidator(_encodable)]
Signed = Annotated[int, Field(strict=True, ge=-100, le=100)]
Unsigned = Annotated[int, Field(strict=True, ge=0, le=100)]
Body = TypeVar("Body", bound="RequestBody")
Entry = TypeVar("Entry")

SIDED = ("face_reshape", "chin_reshape", "eye_size")
"""The combined parameters: each stands for its ``_left`` and ``_right``, unless these are sent too."""


class RequestBody(BaseModel):
    """The base of request bodies. Unknown members are dropped, as the vendor does."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class NewFile(RequestBody):
    """A file to be registered."""

    content_type: Text
    file_name: Text
    file_size: Annotated[int, Field(strict=True, gt=0)]

    @property
    def is_video(self) -> bool:
        """Whether it is registered as a video."""
        return self.content_type.startswith("video/")


class NewFiles(RequestBody):
    """The body of a file registration."""

    files: list[NewFile]


class Source(RequestBody):
    """Where a task's picture comes from."""

    src_file_id: Text | None = None
    src_file_url: Text | None = None


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


class DeleteRequest(RequestBody):
    """The body of a task's deletion."""

    task_id: Text


class LegacyClient(RequestBody):
    """The body with which a legacy client asks for an access token."""

    client_id: Text
    id_token: Text


class Page(RequestBody):
    """Which page of a list, as the query says it. The token is the offset in base64, unpadded."""

    page_size: Annotated[int, Field(ge=1)] = 20
    starting_token: str | None = None

    @property
    def offset(self) -> int:
        """The number of entries before the page.

        Raises
        ------
        VendorError
            If the token is not one of ours.
        """
        if not self.starting_token or self.starting_token == "null":  # noqa: S105 - as the documents spell it
            return 0
        try:
            padded = self.starting_token + "=" * (-len(self.starting_token) % 4)
            offset = int(base64.urlsafe_b64decode(padded).decode("ascii"))
            if offset < 0:
                raise ValueError(offset)  # noqa: TRY301 - one answer to whatever is wrong with a token
        except (ValueError, binascii.Error) as error:
            sentence = "starting_token doesn't match the required format."
            raise ERRORS["InvalidParameters"].occur(sentence=sentence) from error
        return offset

    def cut(self, entries: Sequence[Entry]) -> tuple[Sequence[Entry], str | None]:
        """Return the page of ``entries``, and the token of the next one or None."""
        end = self.offset + self.page_size
        token = base64.urlsafe_b64encode(str(end).encode()).decode().rstrip("=")
        return entries[self.offset : end], token if end < len(entries) else None


def read_page(request: Request, largest: int) -> Page:
    """Return which page the query asks for.

    Raises
    ------
    VendorError
        With the validator's sentence, if it is not between 1 and ``largest`` entries long.
    """
    try:
        page = Page.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise ERRORS["InvalidParameters"].occur(sentence=_sentence(error)) from error
    if page.page_size > largest:
        raise ERRORS["InvalidParameters"].occur(sentence="page_size is above the allowed maximum.")
    return page


async def read_body(
    request: Request, model: type[Body], check_first: Callable[[Mapping[str, Any]], None] | None = None
) -> Body:
    """Return the JSON body of ``request``, validated.

    ``check_first`` sees the body before its members are validated one by one. The members that nobody
    reads are warned of.

    Raises
    ------
    VendorError
        With the validator's sentence for the first thing that is wrong.
    """
    try:
        document = json.loads((await request.body()).decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ERRORS["InvalidParameters"].occur(sentence="The request body is not valid JSON.") from error
    if check_first is not None and isinstance(document, dict):
        check_first(document)
    try:
        body = model.model_validate(document)
    except ValidationError as error:
        raise ERRORS["InvalidParameters"].occur(sentence=_sentence(error)) from error
    for name in _dropped(document, body):
        call_of(request).warn("field-dropped", f"there is no member {name}")
    return body


def _dropped(document: Mapping[str, Any], body: RequestBody, path: str = "") -> Iterator[str]:
    """Give the members of ``document`` that ``body`` has no place for."""
    fields = {field.alias or name: name for name, field in type(body).model_fields.items()}
    for member, given in document.items():
        value = getattr(body, fields[member]) if member in fields else None
        if member not in fields:
            yield f"{path}{member}"
        elif isinstance(value, RequestBody):
            yield from _dropped(given, value, f"{path}{member}.")
        elif isinstance(value, list):
            for position, (inner, part) in enumerate(zip(given, value, strict=True)):
                yield from _dropped(inner, part, f"{path}{member}[{position}].")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def check_file(file: NewFile, picture_bytes: int, video_bytes: int) -> None:
    """Raise unless a file of that kind and size can be registered.

    Raises
    ------
    VendorError
        With the validator's sentence.
    """
    if not file.content_type.startswith(("image/", "video/")):
        sentence = "content_type is not one of the accepted values."
        raise ERRORS["InvalidParameters"].occur(sentence=sentence)
    if file.file_size >= (video_bytes if file.is_video else picture_bytes):
        raise ERRORS["InvalidParameters"].occur(sentence="file_size is above the allowed maximum.")


def check_source(body: Mapping[str, Any]) -> None:
    """Raise unless the body of a task names a picture: the schema's union comes before its members.

    Raises
    ------
    VendorError
        If neither ``src_file_id`` nor ``src_file_url`` is there, or one is null.
    """
    names = ("src_file_url", "src_file_id")
    for name in names:
        if name in body and body[name] is None:
            raise ERRORS["InvalidParameters"].occur(sentence=_null(name))
    if not any(name in body for name in names):
        sentence = ", or ".join(_missing(name) for name in names)
        raise ERRORS["InvalidParameters"].occur(sentence=sentence)


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


def render_status(task: Task, results: Mapping[str, Any] | None, settings: PerfectCorpSettings) -> Response:
    """Return the answer to a poll; queued and running are both ``running`` to a client."""
    if task.state is TaskState.FAILED:
        name = task.error or "unknown_internal_error"
        error = ERRORS[name].occur().worded(settings.errors.get(name))
        code = ERRORS[name].code if settings.engine_codes == "schema" else ERRORS[name].page_code
        return _data({"error": code, "error_message": error.text, "results": None, "task_status": "error"})
    if task.state is not TaskState.SUCCEEDED:
        # Also where the work is done and the client is not to know yet.
        return _data({"error": None, "results": None, "task_status": "running"})
    return _data({"error": None, "results": results, "task_status": "success"})


def render_done() -> Response:
    """Return the answer to something that has nothing to say."""
    return JSONResponse({"status": 200})


def render_access_token(token: str) -> Response:
    """Return the answer to a legacy client."""
    return JSONResponse({"status": 200, "result": {"access_token": token}})


def render_grants(grants: Sequence[Grant]) -> Response:
    """Return the units of a key, grant by grant."""
    return JSONResponse(
        {
            "status": 200,
            "results": [
                {
                    "id": grant.id,
                    "type": "ApiPaygToken",
                    "amount": grant.amount,
                    "amount_dec": float(grant.amount),
                    "expiry": round(grant.expires_at * 1000),
                }
                for grant in grants
            ],
        }
    )


def render_history(charges: Sequence[tuple[str, Charge]], next_token: str | None) -> Response:
    """Return a page of what a key spent, each after the id of the task that it was spent on."""
    history = [
        {
            "id": charge.id,
            "timestamp": round(charge.timestamp * 1000),
            "action": charge.action,
            "target_id": task_id,
            "info": {
                "credits": [
                    {"id": part.id, "amount": -part.amount, "amount_dec": -float(part.amount)}
                    for part in charge.parts
                ],
                "dst_actions": [],
            },
        }
        for task_id, charge in charges
    ]
    return JSONResponse({"status": 200, "result": {"next_token": next_token, "history": history}})


def render_costs(skus: Sequence[Mapping[str, Any]], next_token: str | None) -> Response:
    """Return a page of what features cost."""
    return JSONResponse({"status": 200, "result": {"next_token": next_token, "skus": list(skus)}})


def render_error(error: VendorError, request_id: str = "") -> Response:
    """Return the answer to a request that failed, as its layer words it."""
    entry = ERRORS[error.entry.name]
    if entry.layer is Layer.STORE:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{entry.code}</Code><Message>{escape(error.text)}</Message>"
            f"<RequestId>{request_id}</RequestId><HostId>emulated</HostId></Error>"
        )
        return Response(body, error.entry.status, media_type="application/xml")
    codes = dict.fromkeys(entry.code_members, entry.code)
    return JSONResponse({"status": error.entry.status, "error": error.text, **codes}, error.entry.status)


def _data(data: Mapping[str, Any]) -> Response:
    return JSONResponse({"status": 200, "data": data})


def _null(name: str) -> str:
    return f"'{name}' is required and can't be null."


def _missing(name: str) -> str:
    return f"{name} is required but wasn't included in your request."


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    # The validator prints the innermost member's name, without the path to it.
    names = [str(step) for step in first["loc"] if isinstance(step, str)]
    name = names[-1] if names else "body"
    if first["type"] != "missing" and first["input"] is None:
        return _null(name)
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
