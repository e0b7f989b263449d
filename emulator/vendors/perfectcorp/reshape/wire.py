"""Request and response models of AI Face Reshape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Response
from pydantic import ConfigDict, Field, WithJsonSchema
from pydantic.config import JsonDict

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
"""A member that can be missing, but not null."""

SIDED = ("face_reshape", "chin_reshape", "eye_size")
"""Parameters that set both sides. For example, ``eye_size`` also sets ``eye_size_left`` if the client does
not send ``eye_size_left``."""


def _without_default(schema: JsonDict) -> None:
    del schema["default"]


class Source(RequestBody):
    """The picture of a task: the id of an uploaded file, or a URL."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["src_file_id"]}, {"required": ["src_file_url"]}]}
    )

    src_file_id: Optional = Field(
        default=None,
        description="Id of an uploaded JPEG or PNG of less than 10 MiB, with sides of at most 4096 pixels. "
        "Required without `src_file_url`.",
    )
    src_file_url: Optional = Field(
        default=None,
        description="URL of a JPEG or PNG of less than 10 MiB, with sides of at most 4096 pixels. Ignored if "
        "`src_file_id` is sent.",
    )


class Features(RequestBody):
    """The reshape parameters. All are optional, and 0 changes nothing.

    Left and right are the person's left and right. `eye_size` changes both eyes. If you also send
    `eye_size_left`, the left eye gets that value instead, even if it is 0. `face_reshape` and `chin_reshape`
    work in the same way.
    """

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    cheekbones: Unsigned = Field(
        default=0, description="Prominence of the cheekbones: 0 no change, 100 tucked in."
    )
    jaw: Unsigned = Field(
        default=0, description="Prominence of the corners of the jaw: 0 no change, 100 tucked in."
    )
    face_reshape: Signed = Field(
        default=0, description="Size of both sides of the face: -100 smaller, 100 larger."
    )
    face_reshape_left: Signed = Field(
        default=0,
        description="Size of the left side of the face: -100 smaller, 100 larger. Replaces `face_reshape` "
        "if sent.",
        json_schema_extra=_without_default,
    )
    face_reshape_right: Signed = Field(
        default=0,
        description="Size of the right side of the face: -100 smaller, 100 larger. Replaces `face_reshape` "
        "if sent.",
        json_schema_extra=_without_default,
    )
    face_width: Signed = Field(
        default=0,
        description="Width of the face: -100 narrower, 100 wider. Eyes, nose and mouth do not move.",
    )
    chin_reshape: Signed = Field(
        default=0, description="Width of both sides of the chin: -100 narrower, 100 wider."
    )
    chin_reshape_left: Signed = Field(
        default=0,
        description="Width of the left side of the chin: -100 narrower, 100 wider. Replaces `chin_reshape` "
        "if sent.",
        json_schema_extra=_without_default,
    )
    chin_reshape_right: Signed = Field(
        default=0,
        description="Width of the right side of the chin: -100 narrower, 100 wider. Replaces `chin_reshape` "
        "if sent.",
        json_schema_extra=_without_default,
    )
    chin_length: Signed = Field(default=0, description="Length of the chin: -100 shorter, 100 longer.")
    eye_size: Signed = Field(default=0, description="Area of both eyes: -100 smaller, 100 larger.")
    eye_size_left: Signed = Field(
        default=0,
        description="Area of the left eye: -100 smaller, 100 larger. Replaces `eye_size` if sent.",
        json_schema_extra=_without_default,
    )
    eye_size_right: Signed = Field(
        default=0,
        description="Area of the right eye: -100 smaller, 100 larger. Replaces `eye_size` if sent.",
        json_schema_extra=_without_default,
    )
    eye_width: Signed = Field(default=0, description="Width of both eyes: -100 narrower, 100 wider.")
    eye_height: Signed = Field(default=0, description="Height of both eyes: -100 flatter, 100 taller.")
    eye_distance: Signed = Field(
        default=0, description="Distance between the eyes: -100 closer together, 100 further apart."
    )
    eye_angle: Signed = Field(
        default=0, description="Tilt of both eyes: -100 turns the outer corners down, 100 turns them up."
    )
    nose_bridge_width: Signed = Field(
        default=0, description="Width of the bridge of the nose: -100 narrower, 100 wider."
    )
    nose_lift: Signed = Field(
        default=0, description="Position of the lower part of the nose: -100 further down, 100 further up."
    )
    nose_size: Signed = Field(default=0, description="Size of the nose: -100 smaller, 100 larger.")
    nose_tip: Signed = Field(default=0, description="Angle of the tip of the nose: -100 up, 100 down.")
    nose_tip_width: Signed = Field(
        default=0, description="Width of the tip of the nose: -100 narrower, 100 wider."
    )
    nose_wing: Signed = Field(default=0, description="Width of the nostrils: -100 narrower, 100 wider.")
    lip_size: Signed = Field(default=0, description="Area of both lips: -100 smaller, 100 larger.")
    lip_width: Signed = Field(default=0, description="Width of the mouth: -100 narrower, 100 wider.")
    lip_height_top: Signed = Field(
        default=0, description="Thickness of the upper lip: -100 thinner, 100 fuller."
    )
    lip_height_bottom: Signed = Field(
        default=0, description="Thickness of the lower lip: -100 thinner, 100 fuller."
    )
    lip_peak: Signed = Field(default=0, description="Cupid's bow: -100 smoother, 100 more defined.")

    def to_parameters(self) -> ReshapeParameters:
        """Return the parameters for the reshape function, with separate values for left and right.

        The vendor's page says: "A per-side key overrides this value for that side; a per-side 0 means
        that side is left unchanged". So sending 0 for one side is not the same as omitting the parameter of
        this side.
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
    """The parameters of skin smoothing. All are optional."""

    skin_smooth_strength: Unsigned = Field(
        default=0, description="Smoothing of blemishes, pores and shallow wrinkles: 0 none, 100 strongest."
    )
    skin_smooth_color_intensity: Unsigned = Field(
        default=0, description="Smoothing of redness and blotches: 0 none, 100 strongest."
    )


class ReshapeRequest(Source):
    """The body of a request that creates a reshape task."""

    version: Literal["1.0"] = Field(description="Version of the reshape parameters, always `1.0`.")
    index: Annotated[int, Field(strict=True)] = Field(
        default=0,
        description="Face to reshape: its position in the `result` list of a pre-process task, from 0.",
    )
    features: Features = Field(description="Reshape parameters. At least one must not be 0.")
    global_: Annotated[Global, Field(alias="global")] = Field(description="Parameters of skin smoothing.")


class DeleteRequest(RequestBody):
    """The body of a request that deletes a task."""

    task_id: Text = Field(description="Id of a finished reshape task.")


class Created(Member):
    """A new task."""

    task_id: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{64}$")] = Field(
        description="Id of the task. Use it to poll the status."
    )


class ReshapeResults(Member):
    """The results of a reshape task."""

    url: str = Field(
        description="Presigned URL of the reshaped picture. It expires after 2 hours; the setting "
        "`url_seconds` changes this."
    )
    timed: Milliseconds = Field(description="Time that the task took, in milliseconds.")
    timed_apply: Milliseconds = Field(
        description="Time that the task took after the face was found, in milliseconds."
    )


class Box(Member):
    """The box of a face."""

    left: int = Field(description="Distance from the left edge of the picture to the box, in pixels.")
    top: int = Field(description="Distance from the top edge of the picture to the box, in pixels.")
    width: int = Field(description="Width of the box in pixels.")
    height: int = Field(description="Height of the box in pixels.")


class PreProcessResults(Member):
    """The results of a pre-process task: the faces that were found."""

    timed: Milliseconds = Field(description="Time that the task took, in milliseconds.")
    result: list[Box] = Field(
        description="Boxes of the faces. The position of a face in this list, from 0, is its `index` in a "
        "reshape task."
    )


class Running(Member):
    """A task that is still running."""

    error: None = Field(default=None, description="`null` while the task runs.")
    results: None = Field(default=None, description="`null` while the task runs.")
    task_status: Literal["running"] = Field(
        default="running", description="`running`: the task runs, or waits to be started."
    )


Results = TypeVar("Results")


class Succeeded(Member, Generic[Results]):
    """A task that succeeded."""

    error: None = Field(default=None, description="`null` if the task succeeded.")
    results: Results = Field(description="If the task succeeded: its results.")
    task_status: Literal["success"] = Field(default="success", description="`success`: the task succeeded.")


class Failed(Member):
    """A task that failed."""

    error: Annotated[
        str,
        Field(json_schema_extra={"enum": list({code: None for entry in ENGINE for code in entry.codes})}),
    ] = Field(
        description="If the task failed: code of the error, in lower case if the setting `engine_codes` is "
        "`schema` (the default), in upper case if it is `page`."
    )
    error_message: str = Field(description="If the task failed: text of the error.")
    results: None = Field(default=None, description="`null` if the task failed.")
    task_status: Literal["error"] = Field(default="error", description="`error`: the task failed.")


ReshapeStatus = Data[Running | Succeeded[ReshapeResults] | Failed]
PreProcessStatus = Data[Running | Succeeded[PreProcessResults] | Failed]

# Keep these models: Pydantic discards a parametrised model that nothing refers to, and creating it again
# takes as long as a poll.
_Succeeded = Succeeded[Any]
_DataOfSucceeded = Data[_Succeeded]
_DataOfRunning, _DataOfFailed, _DataOfCreated = Data[Running], Data[Failed], Data[Created]


def check_source(body: Mapping[str, Any]) -> None:
    """Check that a body has a picture. The vendor checks this before all other members.

    Raises
    ------
    VendorError
        If ``src_file_id`` and ``src_file_url`` are both absent, or one of them is null.
    """
    names = ("src_file_url", "src_file_id")
    for name in names:
        if name in body and body[name] is None:
            raise SHARED["InvalidParameters"].occur(sentence=is_null(name))
    if not any(name in body for name in names):
        sentence = ", or ".join(is_missing(name) for name in names)
        raise SHARED["InvalidParameters"].occur(sentence=sentence)


def check_features(features: Features) -> None:
    """Raise ``VendorError`` if all reshape parameters are 0."""
    if features.to_parameters() == ReshapeParameters():
        raise SHARED["InvalidParameters"].occur(sentence="Features cannot be all zero")


def render_created(task_id: str) -> Response:
    """Return the response with the id of a new task."""
    return render(_DataOfCreated(data=Created(task_id=task_id)))


def render_status(
    task: Task, results: ReshapeResults | PreProcessResults | None, settings: PerfectCorpSettings
) -> Response:
    """Return the response to a poll. A task that waits to be started is ``running``, too."""
    if task.state is TaskState.FAILED:
        entry = ENGINE[task.error or "unknown_internal_error"]
        error = entry.occur().overridden(settings.errors.get(entry.name))
        code = entry.code if settings.engine_codes == "schema" else entry.page_code
        return render(_DataOfFailed(data=Failed(error=code, error_message=error.text)))
    if task.state is not TaskState.SUCCEEDED or results is None:
        # This includes tasks that have ended, but must still appear as running.
        return render(_DataOfRunning(data=Running()))
    return render(_DataOfSucceeded(data=_Succeeded(results=results)))
