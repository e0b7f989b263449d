"""Request and response models of AI Face Reshape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Response
from pydantic import ConfigDict, Field, WithJsonSchema

from emulator.face.reshape_parameters import ReshapeParameters
from emulator.tasks.task import Task, TaskState
from emulator.vendors.perfectcorp.body import RequestBody, Text, is_missing, is_null
from emulator.vendors.perfectcorp.errors import SHARED
from emulator.vendors.perfectcorp.reshape.errors import ENGINE
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.vendors.perfectcorp.wire import Data, Member, render

Signed = Annotated[int, Field(strict=True, ge=-100, le=100)]
Unsigned = Annotated[int, Field(strict=True, ge=0, le=100)]
Milliseconds = Annotated[int, Field(ge=0)]
Optional = Annotated[Text | None, WithJsonSchema({"type": "string"})]
"""A member that can be absent, but not null."""

SIDED = ("face_reshape", "chin_reshape", "eye_size")
"""The combined parameters. Each sets its ``_left`` and ``_right``, unless these are sent too."""


class Source(RequestBody):
    """The source of a task's picture."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["src_file_id"]}, {"required": ["src_file_url"]}]}
    )

    src_file_id: Optional = None
    src_file_url: Optional = None


class Features(RequestBody):
    """The reshape parameters, all of them optional. A side that is sent as 0 overrides the combined value."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

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
        """Return the parameters for the face core, with combined parameters applied to both sides.

        The vendor's page says: "A per-side key overrides this value for that side; a per-side 0 means
        that side is left unchanged". Therefore it matters whether a key was sent.
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
    """The parameters of skin smoothing."""

    skin_smooth_strength: Unsigned = 0
    skin_smooth_color_intensity: Unsigned = 0


class ReshapeRequest(Source):
    """The body of a request that creates a reshape task."""

    version: Literal["1.0"]
    index: Annotated[int, Field(strict=True)] = 0
    features: Features
    global_: Annotated[Global, Field(alias="global")]


class DeleteRequest(RequestBody):
    """The body of a request that deletes a task."""

    task_id: Text


class Created(Member):
    """A new task."""

    task_id: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{64}$")]


class ReshapeResults(Member):
    """The results of a reshape task."""

    url: str
    timed: Milliseconds
    timed_apply: Milliseconds


class Box(Member):
    """The box of a face, in whole pixels."""

    left: int
    top: int
    width: int
    height: int


class PreProcessResults(Member):
    """The results of a pre-process task: the faces that were found."""

    timed: Milliseconds
    result: list[Box]


class Running(Member):
    """A task that is still running."""

    error: None = None
    results: None = None
    task_status: Literal["running"] = "running"


Results = TypeVar("Results")


class Succeeded(Member, Generic[Results]):
    """A task that succeeded."""

    error: None = None
    results: Results
    task_status: Literal["success"] = "success"


class Failed(Member):
    """A task that failed."""

    error: Annotated[
        str,
        Field(json_schema_extra={"enum": list({code: None for entry in ENGINE for code in entry.codes})}),
    ]
    error_message: str
    results: None = None
    task_status: Literal["error"] = "error"


ReshapeStatus = Data[Running | Succeeded[ReshapeResults] | Failed]
PreProcessStatus = Data[Running | Succeeded[PreProcessResults] | Failed]


def check_source(body: Mapping[str, Any]) -> None:
    """Raise an error unless a body has a source. The vendor checks it before other members.

    Raises
    ------
    VendorError
        If ``src_file_id`` and ``src_file_url`` are both absent, or one is null.
    """
    names = ("src_file_url", "src_file_id")
    for name in names:
        if name in body and body[name] is None:
            raise SHARED["InvalidParameters"].occur(sentence=is_null(name))
    if not any(name in body for name in names):
        sentence = ", or ".join(is_missing(name) for name in names)
        raise SHARED["InvalidParameters"].occur(sentence=sentence)


def check_features(features: Features) -> None:
    """Raise ``VendorError`` if all features are zero."""
    if features.to_parameters() == ReshapeParameters():
        raise SHARED["InvalidParameters"].occur(sentence="Features cannot be all zero")


def render_created(task_id: str) -> Response:
    """Return the response with the id of a new task."""
    return render(Data[Created](data=Created(task_id=task_id)))


def render_status(
    task: Task, results: ReshapeResults | PreProcessResults | None, settings: PerfectCorpSettings
) -> Response:
    """Return the response to a poll. Queued and running tasks are both ``running``."""
    if task.state is TaskState.FAILED:
        entry = ENGINE[task.error or "unknown_internal_error"]
        error = entry.occur().worded(settings.errors.get(entry.name))
        code = entry.code if settings.engine_codes == "schema" else entry.page_code
        return render(Data[Failed](data=Failed(error=code, error_message=error.text)))
    if task.state is not TaskState.SUCCEEDED or results is None:
        # This includes tasks that are done but do not appear finished yet.
        return render(Data[Running](data=Running()))
    return render(Data[Succeeded[Any]](data=Succeeded[Any](results=results)))
