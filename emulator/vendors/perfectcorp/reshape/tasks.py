"""Functions that create and poll tasks of AI Face Reshape."""

from __future__ import annotations

import base64
import contextlib
import itertools
from collections.abc import Sequence

from starlette.convertors import StringConvertor, register_url_convertor

from emulator.backends.records import Change
from emulator.backends.unavailable import StoreUnavailable
from emulator.tasks.task import Task
from emulator.vendors.perfectcorp.files.store import FILE, StoredFile
from emulator.vendors.perfectcorp.reshape.errors import CREATION, POLL
from emulator.vendors.perfectcorp.reshape.jobs import ACTIONS
from emulator.vendors.perfectcorp.reshape.wire import Source
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.vendors.perfectcorp.units.errors import UnitsInsufficient
from emulator.vendors.perfectcorp.units.ledger import Units
from emulator.web.call import Call
from emulator.world.credentials import CredentialOutOfBalance
from emulator.world.operation import Operation
from emulator.world.world import World

SECONDS_A_DAY = 86400

TASK = "perfectcorp/task"
"""Kind of the ids of tasks."""


class _TaskId(StringConvertor):
    """Path convertor for task ids. It does not match ``pre-process``, which has its own route."""

    regex = "(?!pre-process$)[^/]+"


register_url_convertor("reshape_task", _TaskId())


async def new_task(
    world: World, settings: PerfectCorpSettings, credential: str, kind: str, body: Source
) -> tuple[Task, Sequence[Change]]:
    """Return a new task of this ``kind`` for the picture in ``body``. The task is not stored yet.

    Also return the changes that must be written together with it.

    Raises
    ------
    VendorError
        If the file does not exist, belongs to another key, has expired, or was never uploaded.
    """
    key = None
    if body.src_file_id is not None:
        record = await world.records.get(FILE, body.src_file_id)
        if record is None or record.credential != credential:
            raise CREATION["UnresolvableFile"].occur()
        file = StoredFile(**record.document)
        if world.clock.now(credential) >= file.created_at + settings.file_days * SECONDS_A_DAY:
            raise CREATION["UnresolvableFile"].occur()
        key = file.object
        if not await world.blobs.exists(key):
            missing = "FileNotUploaded" if settings.missing_upload_status == 500 else "FileNotUploaded404"
            raise CREATION[missing].occur()
    number, counted = await world.records.draw(world.ids.counter(TASK), credential)
    task_id = base64.urlsafe_b64encode(world.ids.nth(credential, TASK, number, 48)).decode()
    request = {
        "file_id": body.src_file_id,
        "object": key,
        "url": body.src_file_url,
        # Store only features that were sent: an ``eye_size_left`` of 0 overrides ``eye_size`` if it was sent.
        "body": body.model_dump(by_alias=True, exclude_unset=True),
    }
    return Task(task_id, credential, kind, request, world.clock.now(credential)), counted


async def create_task(
    body: Source,
    credential: str,
    operation: Operation,
    call: Call,
    world: World,
    units: Units,
    settings: PerfectCorpSettings,
) -> Task:
    """Create, store and start the task that ``operation`` creates. Return it.

    Raises
    ------
    VendorError
        If the picture cannot be used, or the key has too few units, or the state ``no_balance``.
    """
    if operation.task is None:
        raise ValueError(f"{operation.name} creates no tasks")
    while True:
        task, counted = await new_task(world, settings, credential, operation.task, body)
        # The id can be taken after the restore of a snapshot without its counters, or because a call to
        # another server that was in progress during a reset has stored a task with it.
        with contextlib.suppress(KeyError):
            await _start(task, counted, operation, call, world, units, settings)
            return task


async def _start(
    task: Task,
    counted: Sequence[Change],
    operation: Operation,
    call: Call,
    world: World,
    units: Units,
    settings: PerfectCorpSettings,
) -> None:
    """Reserve the units that ``operation`` costs. Then store and start the task.

    The changes ``counted`` are written with it.

    Raises
    ------
    VendorError
        If the key has too few units, or the state ``no_balance``.
    KeyError
        If there is a task with this id.
    """
    if task.request["file_id"] is not None and task.request["url"] is not None:
        call.warn("field-dropped", "src_file_url is ignored because src_file_id was sent")
    cost = 0 if operation.billing is None else operation.billing.units(settings)

    tries = itertools.count()
    is_counted = world.meter.is_open(task.id)

    async def reserve() -> Sequence[Change]:
        if not cost:
            return counted
        # Most keys have enough units, so count them only if the first try could not be written.
        reservation = await units.reservation(
            task.credential, task.id, operation.name, ACTIONS[task.kind], cost, counts=next(tries) > 0
        )
        return [*counted, *reservation]

    try:
        # A key in the state ``no_balance`` cannot create tasks, not even free ones.
        await world.credentials.check(task.credential)
        await world.plans.create_task(task, call.task_fault, reserve)
    except (StoreUnavailable, KeyError):
        # If the id is taken, its units can belong to the other task.
        if not is_counted:
            world.meter.forget_item(task.id)
        raise
    except (CredentialOutOfBalance, UnitsInsufficient) as error:
        world.meter.forget_item(task.id)
        raise CREATION.for_cause(error).occur() from error


async def find_task(
    world: World, settings: PerfectCorpSettings, credential: str, kind: str, task_id: str
) -> Task:
    """Poll a task. Return it with the state that the client sees, which can differ from the real state.

    Raises
    ------
    VendorError
        If the key has no such task, or the task has exceeded a limit in the settings ``task_days``,
        ``task_timeout_s`` or ``unpolled_expiry_s``.
    """
    await world.plans.before_poll(task_id, credential)
    task = await world.tasks.find(task_id, credential)
    if task is None or task.kind != kind:
        raise POLL["InvalidTaskId"].occur()
    now = world.clock.now(credential)
    if now >= task.created_at + settings.task_days * SECONDS_A_DAY:
        raise POLL["TaskTimeout"].occur()
    ended = task.finished_at if task.finished_at is not None else now
    if settings.task_timeout_s is not None and ended > task.created_at + settings.task_timeout_s:
        raise POLL["TaskTimeout"].occur()
    if settings.unpolled_expiry_s is not None:
        # Every poll restarts the period. A task is not lost if a poll has shown that it ended.
        last = task.polled_at if task.polled_at is not None else task.created_at
        end_was_polled = task.finished_at is not None and last >= task.finished_at
        if not end_was_polled and now > last + settings.unpolled_expiry_s:
            raise POLL["InvalidTaskId"].occur()
    task = await world.tasks.poll(task, counts=settings.unpolled_expiry_s is not None)
    await world.plans.note_poll(task)
    return task
