"""Functions that create and poll tasks of AI Face Reshape."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Sequence

from starlette.convertors import StringConvertor, register_url_convertor

from emulator.backends.records import Change
from emulator.backends.unavailable import StoreUnavailable
from emulator.tasks.runner import nothing_else
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


class _TaskId(StringConvertor):
    """Path convertor for task ids. It does not match ``pre-process``, which has its own route."""

    regex = "(?!pre-process$)[^/]+"


register_url_convertor("reshape_task", _TaskId())


async def new_task(
    world: World, settings: PerfectCorpSettings, credential: str, kind: str, body: Source
) -> Task:
    """Return a new task of this ``kind`` for the picture in ``body``. The task is not stored yet.

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
        file = StoredFile.from_document(record.document)
        if world.clock.now(credential) >= file.created_at + settings.file_days * SECONDS_A_DAY:
            raise CREATION["UnresolvableFile"].occur()
        key = file.object
        if not await world.blobs.exists(key):
            missing = "FileNotUploaded" if settings.missing_upload_status == 500 else "FileNotUploaded404"
            raise CREATION[missing].occur()
    task_id = ""
    # After the restore of a snapshot without its counters, ids can be taken.
    while not task_id or await world.tasks.find(task_id) is not None:
        drawn = await world.ids.draw(credential, "perfectcorp/task", 48)
        task_id = base64.urlsafe_b64encode(drawn).decode()
    request = {
        "file_id": body.src_file_id,
        "object": key,
        "url": body.src_file_url,
        # Store only features that were sent: an ``eye_size_left`` of 0 overrides ``eye_size`` if it was sent.
        "body": body.model_dump(by_alias=True, exclude_unset=True),
    }
    return Task(task_id, credential, kind, request, world.clock.now(credential))


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
        task = await new_task(world, settings, credential, operation.task, body)
        # A call to another server that was in progress during a reset can have stored a task with this id.
        with contextlib.suppress(KeyError):
            await _start(task, operation, call, world, units, settings)
            return task


async def _start(
    task: Task,
    operation: Operation,
    call: Call,
    world: World,
    units: Units,
    settings: PerfectCorpSettings,
) -> None:
    """Reserve the units that ``operation`` costs. Then store and start the task.

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

    async def reserve() -> Sequence[Change]:
        return await units.reservation(task.credential, task.id, operation.name, ACTIONS[task.kind], cost)

    try:
        # A key in the state ``no_balance`` cannot create tasks, not even free ones.
        await world.credentials.check(task.credential)
        await world.plans.create_task(task, call.task_fault, reserve if cost else nothing_else)
    except (StoreUnavailable, KeyError):
        world.meter.forget_item(task.id)
        raise
    except (CredentialOutOfBalance, UnitsInsufficient) as error:
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
