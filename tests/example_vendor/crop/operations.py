"""The operations that create and poll crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

from emulator.backends.records import Change
from emulator.tasks.task import Task, TaskState
from emulator.web.call import CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.operation import Billing, Example, Operation
from example_vendor.application import VENDOR, CallerDep
from example_vendor.crop.jobs import CROP_KIND
from example_vendor.errors import CROP, POLL
from example_vendor.settings import SettingsDep
from example_vendor.wire import Body


class NewCrop(BaseModel):
    """The picture to crop."""

    url: Annotated[str, Field(strict=True, pattern="^https?://")] = Field(
        description="URL of the picture, a JPEG or PNG."
    )


class Crop(Body):
    """A new crop."""

    id: str = Field(description="Id of the crop, for polls.")


class Box(Body):
    """The box of a face, in pixels."""

    left: float = Field(description="Distance from the left side of the picture.")
    top: float = Field(description="Distance from the top of the picture.")
    width: float = Field(description="Width of the box.")
    height: float = Field(description="Height of the box.")


class CropState(Body):
    """The state of a crop."""

    state: Literal["working", "done", "failed"] = Field(
        description="`working` until the crop ends, then `done` or `failed`."
    )
    box: Box | None = Field(description="Box of the largest face if `state` is `done`, otherwise null.")
    problem: str | None = Field(description="Text of the error if `state` is `failed`, otherwise null.")


async def create_crop(
    request: Request, key: CallerDep, call: CallDep, world: WorldDep, settings: SettingsDep
) -> Response:
    """Create a task that cuts out the largest face in a picture."""
    try:
        new = NewCrop.model_validate_json(await request.body())
    except ValidationError as error:
        raise CROP["no_body"].occur() from error
    async with world.creations.of(key):
        task_id = (await world.ids.draw(key, CROP_KIND, 8)).hex()
        task = Task(task_id, key, CROP_KIND, {"url": new.url}, world.clock.now(key))
        units = CREATE_CROP.billing.units(settings) if CREATE_CROP.billing else 0

        async def authorize() -> Sequence[Change]:
            return world.meter.authorizing(VENDOR, CREATE_CROP.name, key, task_id, units=units)

        await world.plans.create_task(task, call.task_fault, authorize)
    await world.plans.note_creation(task)
    return JSONResponse(Crop(id=task_id).model_dump())


async def check_crop(key: CallerDep, world: WorldDep, settings: SettingsDep, crop_id: str) -> Response:
    """Get the state of a crop."""
    await world.plans.before_poll(crop_id, key)
    days = world.lifetimes.of(VENDOR, key, settings).crop_days
    task = await world.tasks.find(crop_id, key)
    if task is None or world.clock.now(key) >= task.created_at + days * 86400:
        raise POLL["unknown_crop"].occur()
    task = await world.tasks.poll(task)
    await world.plans.note_poll(task)
    state: Literal["working", "done", "failed"] = "working"
    if task.is_finished:
        state = "done" if task.state is TaskState.SUCCEEDED else "failed"
    box = Box.model_validate(task.result["box"]) if task.result is not None else None
    override = settings.errors.get(task.error or "")
    problem = None if task.error is None else CROP[task.error].occur().overridden(override).text
    return JSONResponse(CropState(state=state, box=box, problem=problem).model_dump())


_KEY = {"X-Example-Key": "{key}"}

CREATE_CROP = Operation(
    name="create_crop",
    methods=("POST",),
    paths=("/example/v1/crops",),
    endpoint=create_crop,
    task=CROP_KIND,
    billing=Billing("crop_units"),
    errors=CROP,
    request=NewCrop,
    response=Crop,
    longest_body=lambda _settings: 1000,
    example=Example(headers=_KEY, json={"url": "http://127.0.0.1:9/me.jpg"}),
)

CHECK_CROP = Operation(
    name="check_crop",
    methods=("GET",),
    paths=("/example/v1/crops/{crop_id}",),
    endpoint=check_crop,
    errors=POLL,
    path_parameters={"crop_id": "Id of the crop, from the response to its creation."},
    response=CropState,
    example=Example(headers=_KEY, path="/example/v1/crops/unknown"),
)

api = Api("Cropping", (CREATE_CROP, CHECK_CROP))
