"""The operations that create, poll and delete tasks of AI Face Reshape."""

from __future__ import annotations

from fastapi import Request, Response

from emulator.vendors.perfectcorp.body import read_body
from emulator.vendors.perfectcorp.caller import CallerDep, CallerSettingsDep, PollerDep
from emulator.vendors.perfectcorp.files.presigned import SignedRequest
from emulator.vendors.perfectcorp.files.store import delete_file, sign
from emulator.vendors.perfectcorp.kinds import PRE_PROCESS, RESHAPE
from emulator.vendors.perfectcorp.reshape.errors import CREATION, DELETION, POLL
from emulator.vendors.perfectcorp.reshape.tasks import create_task, find_task
from emulator.vendors.perfectcorp.reshape.wire import (
    Created,
    DeleteRequest,
    PreProcessResults,
    PreProcessStatus,
    ReshapeRequest,
    ReshapeResults,
    ReshapeStatus,
    Source,
    check_features,
    check_source,
    render_created,
    render_status,
)
from emulator.vendors.perfectcorp.units.operations import UnitsDep
from emulator.vendors.perfectcorp.wire import Data, Done, render
from emulator.web.call import CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.error_catalogue import VendorError
from emulator.world.operation import Billing, Example, Operation

TASK = "/s2s/v2.0/task/face-reshape"


async def create_reshape(
    request: Request,
    credential: CallerDep,
    call: CallDep,
    world: WorldDep,
    settings: CallerSettingsDep,
    units: UnitsDep,
) -> Response:
    """Create a task that reshapes a face."""
    body = await read_body(request, ReshapeRequest, check_source)
    check_features(body.features)
    async with world.creations.of(credential):
        task = await create_task(body, credential, CREATE_RESHAPE, call, world, units, settings)
    await world.plans.note_creation(task)
    return render_created(task.id)


async def check_reshape(
    request: Request, credential: PollerDep, world: WorldDep, settings: CallerSettingsDep, task_id: str
) -> Response:
    """Get the status of a reshape task.

    If the task has succeeded, every poll returns a new URL of the same result.
    """
    task = await find_task(world, settings, credential, RESHAPE, task_id)
    results: ReshapeResults | None = None
    if task.result is not None:
        url = sign(request, world, settings, SignedRequest("GET", task.result["object"], {}), credential)
        results = ReshapeResults(url=url, timed=task.result["timed"], timed_apply=task.result["timed_apply"])
    return render_status(task, results, settings)


async def create_pre_process(
    request: Request,
    credential: CallerDep,
    call: CallDep,
    world: WorldDep,
    settings: CallerSettingsDep,
    units: UnitsDep,
) -> Response:
    """Create a task that finds the faces in a picture."""
    body = await read_body(request, Source, check_source)
    async with world.creations.of(credential):
        task = await create_task(body, credential, CREATE_PRE_PROCESS, call, world, units, settings)
    await world.plans.note_creation(task)
    return render_created(task.id)


async def check_pre_process(
    credential: PollerDep, world: WorldDep, settings: CallerSettingsDep, task_id: str
) -> Response:
    """Get the status of a pre-process task."""
    task = await find_task(world, settings, credential, PRE_PROCESS, task_id)
    results = None if task.result is None else PreProcessResults.model_validate(task.result)
    return render_status(task, results, settings)


async def delete_task(request: Request, credential: CallerDep, world: WorldDep) -> Response:
    """Delete a finished reshape task, its picture and its result."""
    try:
        body = await read_body(request, DeleteRequest)
    except VendorError as error:
        raise DELETION["DeleteWithoutTaskId"].occur() from error
    task = await world.tasks.find(body.task_id, credential)
    if task is None:
        raise DELETION["DeleteUnknownTask"].occur()
    if task.kind != RESHAPE:
        raise DELETION["OperationNotSupport"].occur()
    if not task.is_finished:
        raise DELETION["OperationInvalid"].occur()
    await world.tasks.delete(task)
    if task.result is not None:
        await world.blobs.delete(task.result["object"])
    file_id = task.request["file_id"]
    # Keep the picture until the last task that uses it is deleted.
    others = await world.tasks.list(credential)
    if file_id is not None and all(other.request["file_id"] != file_id for other in others):
        await delete_file(world, file_id, task.request["object"])
    return render(Done())


_TASK_ID = {"task_id": "Id of the task, from the response to its creation."}
_BEARER = {"Authorization": "Bearer {key}"}
_SOURCE = {"src_file_url": "http://127.0.0.1:9/me.jpg"}

CREATE_RESHAPE = Operation(
    name="create_reshape",
    methods=("POST",),
    paths=(TASK,),
    endpoint=create_reshape,
    task=RESHAPE,
    billing=Billing("reshape_units"),
    errors=CREATION,
    request=ReshapeRequest,
    response=Data[Created],
    example=Example(
        headers=_BEARER, json={**_SOURCE, "version": "1.0", "features": {"eye_size": 50}, "global": {}}
    ),
)

CHECK_RESHAPE = Operation(
    name="check_reshape",
    methods=("GET",),
    paths=(f"{TASK}/{{task_id:reshape_task}}",),
    endpoint=check_reshape,
    errors=POLL,
    path_parameters=_TASK_ID,
    response=ReshapeStatus,
    example=Example(headers=_BEARER, path=f"{TASK}/unknown"),
)

CREATE_PRE_PROCESS = Operation(
    name="create_pre_process",
    methods=("POST",),
    paths=(f"{TASK}/pre-process",),
    endpoint=create_pre_process,
    task=PRE_PROCESS,
    billing=Billing("pre_process_units"),
    errors=CREATION,
    request=Source,
    response=Data[Created],
    example=Example(headers=_BEARER, json=_SOURCE),
)

CHECK_PRE_PROCESS = Operation(
    name="check_pre_process",
    methods=("GET",),
    paths=(f"{TASK}/pre-process/{{task_id}}",),
    endpoint=check_pre_process,
    errors=POLL,
    path_parameters=_TASK_ID,
    response=PreProcessStatus,
    example=Example(headers=_BEARER, path=f"{TASK}/pre-process/unknown"),
)

DELETE_TASK = Operation(
    name="delete_task",
    methods=("POST",),
    paths=("/s2s/v2.0/task/delete",),
    endpoint=delete_task,
    errors=DELETION,
    request=DeleteRequest,
    response=Done,
    example=Example(headers=_BEARER, json={"task_id": "unknown"}),
)

api = Api(
    "AI Face Reshape",
    (CREATE_RESHAPE, CHECK_RESHAPE, CREATE_PRE_PROCESS, CHECK_PRE_PROCESS, DELETE_TASK),
)
